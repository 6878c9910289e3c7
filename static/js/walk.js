// One row at a time of a long list: the next that is still open, the one before, the end. What a row looks like is its user's.
import { Edits } from "./edits.js"
import { count } from "./format.js"
import { announce } from "./http.js"
import { Windows } from "./windows.js"

export class Walk {
  // `panel` has the addresses data-rows and data-changes, data-expected (the version), data-saved (its rows; those that were added come
  // behind), and the parts data-which, -bar, -place, -texts, -problem, -skip, -back. A row is open while its cell in `column` is empty.
  // `draw(row)`: shows it, null: none. `words`: { every, last, open }, sentences for the end.
  constructor(panel, { column, draw, words }) {
    Object.assign(this, { panel, column, draw, words })
    this.which = this.part("which")
    this.saved = Number(panel.dataset.saved)
    this.place = null // in the windows
    this.ended = false
    this.moving = false // a key that comes before the next row is here is not meant for the last one
    this.waiting = new Set() // for pages
    this.windows = new Windows(panel.dataset.rows, (told) => {
      if (told.version !== this.edits.expected) return location.reload() // saved or changed elsewhere
      for (const look of [...this.waiting]) look()
    }, (error) => this.tell(error.message))
    this.edits = new Edits(panel.dataset.changes, Number(panel.dataset.expected), {
      onRows: async (rows) => {
        if (rows === null || !rows.length || rows.some((row) => this.windows.replace(row) === null)) return this.begin(this.place)
        this.place = this.windows.placeOf(rows[0].row_id)
        this.ended = false
        this.show()
      },
      onVersion: (version) => {
        document.querySelector("[data-version]").textContent = `version ${version}`
        if (this.which.value === "new") this.which.value = "empty"
        const added = this.which.querySelector("[value=new]")
        if (added) added.hidden = true
        this.begin()
      },
    })
    this.which.addEventListener("change", () => this.begin())
    this.part("skip").addEventListener("click", () => this.place !== null && !this.ended && this.go(this.place + 1))
    this.part("back").addEventListener("click", () => this.place > this.first() && this.go(this.place - 1))
  }

  part(name) { return this.panel.querySelector(`[data-${name}]`) }
  first() { return this.which.value === "new" ? this.saved : 0 }

  // The row that is shown, if one can be changed now.
  row() { return this.place === null || this.ended || this.moving ? undefined : this.windows.at(this.place) }

  tell(sentence) {
    this.part("problem").textContent = sentence
    if (sentence) announce(sentence)
  }

  // The row at a place, once it is here; null behind the end.
  rowAt(at) {
    return new Promise((done) => {
      const look = () => {
        const row = this.windows.at(at)
        if (row === undefined && (this.windows.total === null || at < this.windows.total)) return this.windows.want(at, at + 20)
        this.waiting.delete(look)
        done(row ?? null)
      }
      this.waiting.add(look)
      look()
    })
  }

  // The first place from `at` on whose row is open; null if none is.
  async nextOpen(at) {
    for (; ; at++) {
      const row = await this.rowAt(at)
      if (row === null) return null
      if (!row.dropped && row.cells[this.column].trim() === "") return at
    }
  }

  show() {
    const row = this.place === null ? undefined : this.windows.at(this.place)
    const total = this.windows.total === null ? 0 : this.windows.total - this.first()
    const nth = this.place === null ? 0 : this.place - this.first()
    this.part("bar").max = Math.max(1, total)
    this.part("bar").value = this.ended ? total : nth
    this.part("place").textContent = this.ended || !total ? `${count(total)} texts` : `text ${count(nth + 1)} of ${count(total)}`
    this.panel.classList.toggle("dropped", Boolean(row?.dropped))
    if (this.ended || !row) return
    if (row.cut?.length) {
      const { place } = this
      this.windows.whole(place).then((whole) => { if (whole && place === this.place) this.show() }, (error) => this.tell(error.message))
    }
    this.draw(row)
  }

  async go(at) {
    this.tell("")
    this.moving = true
    const row = await this.rowAt(at)
    this.moving = false
    if (row === null) return this.end()
    this.ended = false
    this.place = at
    this.show()
  }

  // Behind the last row: whether any is still open.
  async end() {
    this.ended = true
    this.place = this.windows.total
    const open = await this.nextOpen(this.first())
    const told = Object.assign(document.createElement("p"), { className: "label-text" })
    const none = this.windows.total - this.first() === 0
    const { every, last, open: some } = this.words
    told.textContent = none ? (this.which.value === "empty" ? every : "There is no text here.") : `That was the last one${open === null ? `: ${last}` : `. ${some}`}`
    this.part("texts").replaceChildren(told)
    if (open !== null) {
      const again = Object.assign(document.createElement("button"), { type: "button", className: "button", textContent: "Look at these again" })
      again.addEventListener("click", () => this.go(open))
      this.part("texts").append(again)
    }
    this.draw(null)
    this.show()
  }

  // `at`: where to go on; else the first that is open.
  async begin(at = null) {
    const query = new URLSearchParams()
    if (this.which.value === "empty") {
      query.set("column", this.column)
      query.set("value", "")
    }
    this.waiting.clear()
    this.windows.ask(query)
    this.place = null
    this.ended = false
    this.part("place").textContent = "looking …"
    if (this.which.value === "all" && at === null) return this.go(0)
    const open = at === null ? await this.nextOpen(this.first()) : at
    return open === null ? this.end() : this.go(open)
  }

  // Writes the cell of the row that is shown, in the page at once and among the edits behind it. `row`: of this.row().
  async write(row, value) {
    const before = row.cells[this.column]
    row.cells[this.column] = value
    if (before === value) return
    try {
      const told = await this.edits.change({ cells: [{ row: row.row_id, column: this.column, value, before }] })
      for (const one of told.rows) this.windows.replace(one)
    } catch (error) {
      await this.begin(this.place)
      this.tell(error.message)
    }
  }
}
