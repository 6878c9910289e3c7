// The charts of a run: Bokeh draws the figures that the server describes; points are streamed into their named sources.
import { askJson } from "./http.js"
import { loadBokeh } from "./bokeh.js"

const MOST = 2000 // points of a curve that are fetched; the server thins longer ones and keeps the spikes
const FULL = 3 * MOST // more than so many streamed on top: fetch thinned ones again
const SMOOTHED = "train/loss"

export class Charts {
  // `before`: metric → what the model reached before the training, a level beside the curve.
  constructor(run, { task, bokeh, steps, best, resumed, before, places }) {
    Object.assign(this, { run, task, bokeh, steps, best, resumed, before, places })
    this.curves = new Map() // series → {step: [], value: []}
    this.seq = 0 // the last event that the curves include
    this.early = null // events that came while the curves were fetched
    this.smoothing = 0.9
    this.logScale = false
    this.shown = new Map() // place → {key, document}
    this.drawing = Promise.resolve()
  }

  theme() {
    const chosen = document.documentElement.dataset.theme
    return chosen ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")
  }

  // Figures and points, at the same time; may be called again to catch up.
  async start() {
    const [Bokeh] = await Promise.all([loadBokeh(this.bokeh), this.fetchPoints()])
    this.Bokeh = Bokeh
    await this.draw()
  }

  async fetchPoints() {
    this.early ??= []
    const response = await fetch(`/api/runs/${this.run}/points?max=${MOST}`)
    if (response.ok) {
      const curves = Object.entries(await response.json())
      this.seq = Number(response.headers.get("Headstart-Seq"))
      this.curves = new Map(curves.map(([name, { step, value }]) => [name, { step, value }]))
    }
    const early = this.early
    this.early = null
    for (const event of early) this.apply(event)
    this.fillAll()
  }

  // One drawing after the other: a second press on the theme switch waits for the first.
  draw() {
    this.drawing = this.drawing.then(() => this.drawNow()).catch((error) => this.fail(error))
    return this.drawing
  }

  async drawNow() {
    const theme = this.theme()
    const items = await askJson(`/charts.json?theme=${theme}&task=${encodeURIComponent(this.task)}`)
    for (const [place, element] of Object.entries(this.places)) {
      const key = place === "loss" && this.logScale ? "loss_log" : place
      const earlier = this.shown.get(place)
      if (earlier?.key === key && earlier.theme === theme) continue
      const target = document.createElement("div")
      target.id = `bokeh-${place}-${Math.random().toString(36).slice(2)}`
      element.append(target)
      if (earlier) {
        earlier.views.clear?.()
        earlier.target.remove()
        const { documents } = this.Bokeh // Bokeh keeps every document for ever otherwise
        documents.splice(documents.indexOf(earlier.document), 1)
      }
      const views = await this.Bokeh.embed.embed_item(items[key], target.id)
      const root = (views.roots ?? [...views])[0].model
      this.shown.set(place, { key, theme, target, views, root, document: root.document })
    }
    this.fillAll()
  }

  fail(error) {
    for (const element of Object.values(this.places)) {
      if (!element.childElementCount) element.textContent = `No chart: ${error.message}`
    }
  }

  // Nothing more will come: what is empty stays empty.
  over() {
    for (const element of Object.values(this.places)) element.dataset.waiting = "Nothing was measured."
  }

  // An event of the run: {seq, kind, data}
  apply(event) {
    if (this.early) return this.early.push(event)
    if (event.seq <= this.seq) return
    this.seq = event.seq
    if (event.kind === "rewind") this.rewind(event.data.step)
    else if (event.kind === "point") this.stream(event.data)
  }

  stream(news) {
    for (const [name, { step, value }] of Object.entries(news)) {
      if (!this.curves.has(name)) this.curves.set(name, { step: [], value: [] })
      const curve = this.curves.get(name)
      const last = curve.step.at(-1) ?? -1
      const fresh = step.map((one, place) => place).filter((place) => step[place] > last)
      if (fresh.length < step.length) { // a step that was known: replaced, which is rare
        for (const [place, one] of step.entries()) {
          const known = curve.step.indexOf(one)
          if (known >= 0) curve.value[known] = value[place]
        }
      }
      const added = { step: fresh.map((place) => step[place]), value: fresh.map((place) => value[place]) }
      curve.step.push(...added.step)
      curve.value.push(...added.value)
      if (curve.step.length > FULL) return this.fetchPoints()
      for (const source of this.sources(name)) {
        if (fresh.length < step.length) this.fill(name)
        else source.stream(name === SMOOTHED ? { ...added, smooth: this.smoothTail(added.value) } : added)
      }
    }
    this.fitSteps()
  }

  rewind(step) {
    for (const curve of this.curves.values()) {
      const keep = curve.step.findIndex((one) => one > step)
      if (keep >= 0) {
        curve.step.length = keep
        curve.value.length = keep
      }
    }
    if (step > 0) this.resumed = step
    this.fillAll()
  }

  * sources(name) {
    for (const { document } of this.shown.values()) {
      const source = document.get_model_by_name(name)
      if (source) yield source
    }
  }

  fill(name) {
    if (name.startsWith("before/")) return this.fillBefore(name)
    const { step, value } = this.curves.get(name) ?? { step: [], value: [] }
    for (const source of this.sources(name)) {
      const data = { step: [...step], value: value.map((one) => one ?? NaN) }
      if (name === SMOOTHED) {
        this.average = null
        data.smooth = this.smoothTail(data.value)
      }
      source.data = data
    }
  }

  // A level far above the curve would press it flat: then only its number is told.
  fillBefore(name) {
    const metric = name.slice("before/".length)
    const level = this.before[metric]
    const values = this.curves.get(`validation/${metric}`)?.value ?? []
    const near = level !== undefined && level <= 4 * Math.max(...values)
    const end = Math.max(this.steps, 1)
    const data = near ? { step: [0, end], value: [level, level] } : { step: [], value: [] }
    for (const source of this.sources(name)) source.data = data
    const note = document.querySelector("[data-level-note]")
    if (!note || level === undefined) return
    note.hidden = false
    note.textContent = near ? "dashed: before the training, on the held-out part"
      : `before the training, on the held-out part: ${level.toLocaleString("en-US", { maximumSignificantDigits: 6 })}`
  }

  setBefore(before) {
    this.before = before
    for (const name of Object.keys(before)) this.fillBefore(`before/${name}`)
  }

  fillAll() {
    for (const { document } of this.shown.values()) {
      for (const { name } of document.all_models ?? []) if (name?.includes("/")) this.fill(name)
    }
    this.fitSteps()
  }

  // An exponential average that begins without bias (as Adam's): continues where it stopped.
  smoothTail(values) {
    this.average ??= { sum: 0, weight: 0 }
    const keep = this.smoothing
    return values.map((value) => {
      if (Number.isFinite(value)) {
        this.average.sum = keep * this.average.sum + (1 - keep) * value
        this.average.weight = keep * this.average.weight + (1 - keep)
      }
      return this.average.weight ? this.average.sum / this.average.weight : NaN
    })
  }

  // The axis shows the whole run from the beginning, so that the curve grows into it.
  fitSteps() {
    for (const [place, { document }] of this.shown) {
      const series = [...document.all_models ?? []].map(({ name }) => name).filter((name) => name?.includes("/"))
      this.places[place].classList.toggle("empty", !series.some((name) => this.curves.get(name)?.step.length))
    }
    const last = Math.max(1, ...[...this.curves.values()].map(({ step }) => step.at(-1) ?? 0))
    for (const { root } of this.shown.values()) {
      const end = 1.02 * Math.max(this.steps || 10, last)
      if (root.x_range.end !== end && !root.x_range.moved) root.x_range.setv({ start: 0, end, reset_end: end })
      for (const [name, place] of [["best", this.best], ["resumed", this.resumed]]) {
        const span = root.document.get_model_by_name(name)
        if (span) span.setv({ location: place || null, visible: Boolean(place) })
      }
    }
  }

  setSteps(steps, best) {
    if (steps === this.steps && best === this.best) return
    Object.assign(this, { steps, best })
    this.fitSteps()
  }

  setSmoothing(value) {
    this.smoothing = value
    this.fill(SMOOTHED)
  }

  setLogScale(on) {
    this.logScale = on
    return this.draw()
  }
}
