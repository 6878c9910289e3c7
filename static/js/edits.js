// Edits that are not saved yet: sent one after the other in their order, shown in the bar that every page of a data set has.
import { announce, askJson } from "./http.js"
import { count } from "./format.js"

export class Edits {
  // `expected`: the version that the page shows. `onRows(rows, told)`: after undo, redo and discard; rows null: look at all of them again.
  // `onVersion(version)`: after a save.
  constructor(address, expected, { onRows, onVersion }) {
    Object.assign(this, { address, expected, onRows, onVersion })
    this.last = Promise.resolve()
    this.waiting = 0
    this.bar = document.querySelector("[data-edits]")
    addEventListener("beforeunload", (event) => { if (this.stuck) event.preventDefault() })
    this.bar?.addEventListener("submit", (event) => {
      const what = event.target.dataset.edit
      if (!what) return
      event.preventDefault()
      this.move(what)
    })
  }

  // One after the other: a cell that is changed twice has what the first change left as its value before.
  queue(work) {
    this.waiting += 1
    const mine = this.last.then(work).finally(() => { this.waiting -= 1 })
    this.last = mine.catch(() => {})
    return mine
  }

  // Keeps a change; the answer has its rows as they are then, none if the next change is already on its way. Throws what the server says.
  change(body) {
    return this.queue(async () => {
      const told = await this.insist("", { ...body, expected: this.expected })
      this.show(told)
      return this.waiting > 1 ? { ...told, rows: [] } : told
    })
  }

  // undo, redo, discard or save; never throws.
  async move(what) {
    const button = what === "save" ? this.bar?.querySelector("[data-edit=save] button") : null
    if (button?.ariaDisabled === "true") return // a version of a million rows takes its time
    const name = button?.textContent
    if (button) Object.assign(button, { ariaDisabled: "true", textContent: "Saving …" })
    try {
      await this.queue(async () => {
        if (what === "save") {
          const made = await this.ask(`/save?expected=${this.expected}`)
          this.expected = made.version
          this.show(await askJson(`${this.address}?limit=0`))
          announce(`Saved as version ${made.version}.`)
          this.onVersion(made.version)
          return
        }
        const told = what === "discard" ? await askJson(this.address, { method: "DELETE" }) : await this.ask(`/${what}`)
        this.show(told)
        this.onRows(told.rows, told)
        announce({ undo: "Undone.", redo: "Made again.", discard: "Discarded; undo brings it back." }[what])
      })
    } catch (error) {
      if (button) button.textContent = name
      announce(error.message)
      this.problem(error.message)
    } finally {
      if (button) button.ariaDisabled = null
    }
  }

  ask(path, body) {
    const options = { method: "POST" }
    if (body) {
      const text = JSON.stringify(body)
      // Whoever presses a link while a field is open leaves the page; the change is sent all the same.
      Object.assign(options, { body: text, headers: { "Content-Type": "application/json" }, keepalive: text.length < 20_000 })
    }
    return askJson(this.address + path, options)
  }

  // While Headstart does not answer, a change waits here. Rows that are added wait in their form.
  async insist(path, body) {
    for (;;) {
      try {
        const told = await this.ask(path, body)
        this.stuck = false
        return told
      } catch (error) {
        this.stuck = error.status === undefined && !body.add
        if (!this.stuck) throw error
        this.problem(`${error.message} What you changed is sent as soon as it does.`)
        await new Promise((done) => { setTimeout(done, 2000) })
      }
    }
  }

  problem(text) {
    if (!this.bar) return
    this.bar.hidden = false
    this.bar.classList.add("refused")
    this.bar.querySelector("[data-edits-what]").textContent = text
  }

  show({ changes, cells, added, dropped, undo, redo, next_version: next }) {
    const { bar } = this
    if (!bar) return
    const parts = Object.entries(cells).map(([name, number]) => `${count(number)} in ${name}`)
    if (added) parts.push(`${count(added)} added`)
    if (dropped) parts.push(`${count(dropped)} to be dropped`)
    bar.querySelector("[data-edits-count]").textContent = changes === 1 ? "1 change" : changes ? `${count(changes)} changes` : "No change"
    bar.querySelector("[data-edits-state]").textContent = changes ? "not saved yet" : "to save"
    bar.querySelector("[data-edits-what]").textContent = parts.join(", ")
    bar.classList.remove("refused")
    bar.classList.toggle("calm", !changes)
    const form = (what) => bar.querySelector(`[data-edit=${what}]`)
    const focused = bar.contains(document.activeElement) ? document.activeElement.closest("form") : null
    for (const what of ["save", "discard"]) form(what).hidden = !changes
    form("undo").hidden = !undo
    form("redo").hidden = !redo
    form("undo").querySelector("button").title = undo ? `Undo: ${undo}` : ""
    form("redo").querySelector("button").title = redo ? `Redo: ${redo}` : ""
    form("save").querySelector("button").textContent = `Save as version ${next}`
    form("save").elements.expected?.setAttribute("value", this.expected)
    bar.hidden = !changes && !undo && !redo
    if (focused?.hidden) bar.querySelector("form:not([hidden]) button")?.focus()
  }
}
