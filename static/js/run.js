// The page of a run: progress and log line by line, the rest as parts from the server whenever the state changes.
import { Charts } from "./charts.js"
import { setUpErrors } from "./errors.js"
import { showProgress } from "./format.js"
import { setUpFiles } from "./files.js"
import { announce, askJson, later } from "./http.js"
import { onSummary, unwatch, watch } from "./live.js"
import { setUpLine } from "./line.js"
import { setUpReview } from "./review.js"
import { setUpTabs } from "./tabs.js"
import { setUpTryIt } from "./tryit.js"

const FINAL = ["succeeded", "failed", "cancelled"]
const part = (name) => document.querySelector(`[data-part="${name}"]`)
const head = part("head")
const { run } = head.dataset
const html = new Map() // part → what the server sent last, so that an unchanged part keeps its focus and input
const tabs = setUpTabs(document.querySelector("[data-tabs]"))
setUpTryIt(part("try"))
setUpLine(part("results"))
setUpFiles(part("files"))
setUpReview(part("data"))

const errors = setUpErrors(part("errors"))

const charts = new Charts(run, {
  task: head.dataset.task,
  before: JSON.parse(head.dataset.before),
  bokeh: head.dataset.bokeh,
  steps: Number(head.dataset.steps),
  best: Number(head.dataset.best),
  resumed: Number(head.dataset.resumed),
  places: Object.fromEntries([...document.querySelectorAll("[data-chart]")].map((one) => [one.dataset.chart, one])),
})

let state = head.dataset.state
const { title } = document
let sign = "" // what of the state decides about the parts
let outside = "" // what no event of the run tells: its place in the queue, a worker that is silent

async function refresh({ log = false } = {}) {
  const { seq, state: now, before, parts } = await askJson(`/runs/${run}/parts?${errors.filter()}`)
  charts.setBefore(before)
  for (const [name, text] of Object.entries(parts)) {
    if (name === "log" && !log) continue
    if (html.get(name) === text) continue
    if (name === "errors" && part("errors").querySelector("form")) continue // it fetches for itself
    if (["try", "files"].includes(name) && part(name).querySelector("form")) continue // somebody may be typing
    if (name === "data" && part(name).querySelector("[data-review]")) continue // and so does this
    html.set(name, text)
    part(name).innerHTML = text
    if (name === "log") scrollLog()
  }
  if (FINAL.includes(now)) charts.over()
  if (FINAL.includes(now) && !FINAL.includes(state)) {
    announce(now === "cancelled" ? "The run was cancelled." : `The run has ${now}.`)
    if (now === "succeeded") tabs.suggest("#results")
  }
  state = now
  return seq
}
const refreshSoon = later(150, () => refresh().catch(() => {}))

function onEvent({ kind, data, seq }) {
  if (kind === "point" || kind === "rewind") {
    charts.apply({ kind, data, seq })
    if (Object.keys(data).some((name) => name.startsWith("validation/"))) refreshSoon()
  } else if (kind === "state") {
    if (data.state !== "queued") showProgress(part("progress"), data)
    charts.setSteps(data.steps, data.best_step)
    chooseSmoothing(data.steps)
    showInTitle(data)
    const newSign = [data.state, data.cancel_requested, data.pause_requested, data.attempt, data.best_step, data.silent].join()
    if (newSign !== sign) {
      sign = newSign
      refreshSoon()
    }
    if (FINAL.includes(data.state)) unwatchSoon()
  } else if (kind === "sample") {
    refreshSoon()
    tabs.suggest("#results")
  } else if (kind === "log") addLine(data, seq)
}

function showInTitle({ state: now, step, steps }) {
  document.title = (now === "running" && steps ? `${Math.floor(100 * step / steps)} % · ` : "") + title
}

onSummary(({ runs }) => {
  const mine = runs.find(({ id }) => id === run)
  if (!mine) return
  const now = [mine.place, mine.behind, mine.stalled, mine.unclaimed].join()
  if (outside !== "" && now !== outside) refreshSoon()
  outside = now
})

function addLine({ time, level, message }, seq) {
  const list = document.querySelector("[data-log]")
  if (Number(list.lastElementChild?.dataset.seq ?? 0) >= seq) return
  const follow = list.scrollTop + list.clientHeight > list.scrollHeight - 20
  const line = document.createElement("li")
  const at = document.createElement("time")
  at.dateTime = time
  at.textContent = new Date(time).toTimeString().slice(0, 8)
  const text = document.createElement("span")
  text.textContent = message
  if (level === "warning" || level === "error") line.className = level
  line.dataset.seq = seq
  line.append(at, text)
  list.append(line)
  while (list.childElementCount > 2000) list.firstElementChild.remove()
  document.querySelector("[data-log-empty]").hidden = true
  if (follow) scrollLog()
}

function scrollLog() {
  const list = document.querySelector("[data-log]")
  list.scrollTop = list.scrollHeight
}

async function catchUp() {
  const seq = await refresh({ log: true })
  await charts.fetchPoints()
  return seq
}

// Lines may still follow the last state; after that there is nothing to watch any more.
const unwatchSoon = later(5000, () => unwatch(run))

showInTitle({ state, step: Number(head.dataset.step), steps: Number(head.dataset.steps) })
if (!FINAL.includes(state)) watch(run, Number(head.dataset.seq), onEvent, catchUp)
scrollLog()
charts.start().catch((error) => charts.fail(error))

const remember = (key, value) => { try { localStorage.setItem(key, value) } catch { /* for this page then */ } }
const remembered = (key) => { try { return localStorage.getItem(key) } catch { return null } }
const smoothing = document.querySelector("[data-smoothing]")
let smoothed = remembered("smoothing")
// Strong smoothing lags behind in a short run.
function chooseSmoothing(steps) {
  smoothing.value = smoothed ?? (steps && steps < 200 ? 0.6 : 0.9)
  if (charts.smoothing !== Number(smoothing.value)) charts.setSmoothing(Number(smoothing.value))
}
chooseSmoothing(Number(head.dataset.steps))
smoothing.addEventListener("input", () => {
  charts.setSmoothing(Number(smoothing.value))
  smoothed = smoothing.value
  remember("smoothing", smoothed)
})
document.querySelector("[data-log-scale]").addEventListener("change", ({ target }) => charts.setLogScale(target.checked))
addEventListener("themechange", () => charts.draw())
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => charts.draw())
