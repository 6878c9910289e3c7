// The table of all rows: draws what is seen, moves by keyboard, and hands edits on. Nothing of it knows where they go.
import { CellEditor } from "./celleditor.js"
import { count } from "./format.js"
import { Scroller } from "./scroller.js"

const HEIGHT = 34 // of a row, as in table.css
const HEAD = 32
const SHOWN = 300 // characters of a cell

const made = (name, role, className = "") => {
  const element = document.createElement(name)
  element.setAttribute("role", role)
  element.className = className
  return element
}

export class Grid {
  // `setup`: of app/web/table.py. `write(row, column, value)`, `drop(row)`, `undo()`, `redo()`: what the keys mean. `onActive(row, place)`.
  constructor(view, windows, setup, actions) {
    Object.assign(this, { view, windows, setup, actions, rows: [], place: 0, column: 0 })
    this.window = view.querySelector(".table-window")
    this.scroller = new Scroller(view, { height: HEIGHT, head: HEAD, onMove: () => this.draw() })
    this.editor = new CellEditor(this.window)
    view.setAttribute("aria-colcount", setup.columns.length + 1)
    this.head()
    new ResizeObserver(() => this.widths()).observe(view)
    view.addEventListener("keydown", (event) => this.key(event))
    this.window.addEventListener("mousedown", (event) => this.press(event))
    this.window.addEventListener("dblclick", () => this.edit())
    // A finger: the second touch of a cell edits it.
    this.window.addEventListener("click", (event) => { if (event.pointerType === "touch" && this.again) this.edit() })
  }

  head() {
    const row = made("div", "row", "table-row head")
    row.setAttribute("aria-rowindex", 1)
    row.append(made("div", "columnheader", "number"))
    row.firstChild.append("row")
    for (const name of this.setup.columns) {
      const cell = made("div", "columnheader", this.kind(name))
      cell.append(name)
      const role = name === this.setup.label ? "label" : this.setup.text.includes(name) ? "text" : ""
      if (role && role !== name) cell.append(" ", Object.assign(document.createElement("span"), { className: "tag", textContent: role }))
      row.append(cell)
    }
    this.window.append(row)
    this.header = row
  }

  kind(name) {
    return name === this.setup.label ? "label-column" : this.setup.text.includes(name) ? "text-column" : ""
  }

  widths() {
    const narrow = this.view.clientWidth < 620
    const [first, label, text, other] = narrow ? [74, 112, 250, 120] : [92, 160, 420, 150]
    const wide = this.setup.columns.map((name) => name === this.setup.label ? label : this.setup.text.includes(name) ? text : other)
    const spare = this.view.clientWidth - first - wide.reduce((sum, one) => sum + one, 0)
    if (spare > 0) {
      const takers = this.setup.text.length ? this.setup.columns.map((name) => this.setup.text.includes(name)) : wide.map(() => true)
      const each = Math.floor(spare / takers.filter(Boolean).length)
      takers.forEach((takes, place) => { if (takes) wide[place] += each })
    }
    this.lefts = wide.reduce((sums, one) => [...sums, sums.at(-1) + one], [first])
    this.wide = wide
    this.window.parentElement.style.width = `${this.lefts.at(-1)}px`
    this.window.style.setProperty("--columns", [first, ...wide].map((one) => `${one}px`).join(" "))
    this.draw()
  }

  // Drawn once a frame, however often it is asked for.
  draw() {
    this.frame ??= requestAnimationFrame(() => {
      this.frame = null
      this.drawNow()
    })
  }

  drawNow() {
    const { scroller, windows } = this
    if (windows.total !== null && windows.total !== scroller.total) {
      this.view.setAttribute("aria-rowcount", windows.total + 1)
      this.place = Math.min(this.place, Math.max(0, windows.total - 1))
      scroller.count(windows.total)
    }
    const { first, last } = scroller
    windows.want(Math.max(0, first - 20), Math.max(last, 0) + 20)
    const needed = Math.max(0, last - first + 1)
    while (this.rows.length < needed) this.rows.push(this.makeRow())
    this.rows.forEach((element, nth) => {
      element.hidden = nth >= needed
      if (!element.hidden) this.fill(element, first + nth)
    })
    this.window.style.setProperty("--shift", `${HEAD + first * HEIGHT - scroller.top}px`)
    if (this.editor.open) this.editor.place(this.box(this.editing.place, this.editing.column))
    this.mark()
    if (this.editsSoon && windows.at(this.place)) this.edit()
  }

  makeRow() {
    const row = made("div", "row", "table-row")
    row.append(made("div", "rowheader", "number"))
    for (const name of this.setup.columns) {
      const cell = made("div", "gridcell", this.kind(name))
      cell.dir = "auto"
      row.append(cell)
    }
    this.window.append(row)
    return row
  }

  fill(element, place) {
    const row = this.windows.at(place)
    element.id = `row-${place}`
    element.dataset.place = place
    element.setAttribute("aria-rowindex", place + 2)
    element.classList.toggle("dropped", Boolean(row?.dropped))
    element.classList.toggle("added", Boolean(row?.added))
    element.style.setProperty("--nth", place - this.scroller.first)
    const [number, ...cells] = element.children
    number.textContent = !row ? "…" : row.position === null ? "new" : count(row.position + 1)
    cells.forEach((cell, nth) => {
      const name = this.setup.columns[nth]
      const text = row ? row.cells[name].slice(0, SHOWN) : ""
      if (cell.textContent !== text) cell.textContent = text
      const edited = Boolean(row && name in row.saved)
      cell.classList.toggle("edited", edited)
      cell.title = edited ? `saved: ${row.saved[name].slice(0, SHOWN) || "nothing"}` : ""
      cell.id = `cell-${place}-${nth}`
    })
  }

  // Which cell has the keyboard.
  mark() {
    this.window.querySelector(".active")?.classList.remove("active")
    const cell = document.getElementById(`cell-${this.place}-${this.column}`)
    cell?.classList.add("active")
    if (cell && this.scroller.total) this.view.setAttribute("aria-activedescendant", cell.id)
    else this.view.removeAttribute("aria-activedescendant")
    this.actions.onActive(this.windows.at(this.place), this.place)
  }

  box(place, column) {
    const top = HEAD + place * HEIGHT - this.scroller.top
    return { left: this.lefts[column], top, width: this.wide[column], height: HEIGHT }
  }

  go(place, column = this.column) {
    this.place = Math.min(Math.max(0, place), Math.max(0, this.scroller.total - 1))
    this.column = Math.min(Math.max(0, column), this.setup.columns.length - 1)
    this.editsSoon = false
    this.scroller.show(this.place)
    const [left, right] = [this.lefts[this.column], this.lefts[this.column + 1]]
    const { view } = this
    if (left < view.scrollLeft + this.lefts[0]) view.scrollLeft = this.column ? left - this.lefts[0] : 0
    else if (right > view.scrollLeft + view.clientWidth) view.scrollLeft = right - view.clientWidth
    this.draw()
  }

  press(event) {
    const cell = event.target.closest("[role=gridcell], [role=rowheader]")
    if (!cell || event.target.closest(".cell-editor")) return
    const nth = Math.max(0, [...cell.parentElement.children].indexOf(cell) - 1)
    const place = Number(cell.parentElement.dataset.place)
    this.again = place === this.place && nth === this.column && this.pressed === true
    this.pressed = true
    this.go(place, nth)
  }

  edit() {
    const row = this.windows.at(this.place)
    this.editsSoon = !row // once it is here
    if (!row) return
    if (row.dropped) return this.actions.refuse("This row is to be dropped: press Del to keep it, then edit it.")
    if (row.cut?.length) { // a long text has to be here as a whole
      this.windows.whole(this.place).then((whole) => { if (whole && whole === this.windows.at(this.place)) this.edit() }, (error) => this.actions.refuse(error.message))
      return
    }
    const name = this.setup.columns[this.column]
    this.editing = { place: this.place, column: this.column }
    this.editor.begin({
      value: row.cells[name],
      box: this.box(this.place, this.column),
      list: name === this.setup.label && this.setup.kind === "classes" ? "labels" : "",
      long: name !== this.setup.label,
      label: `${name} of row ${count(this.place + 1)}`,
      onDone: (value) => this.actions.write(row, name, value),
      onEnd: (move) => {
        if (move === null) return
        this.view.focus({ preventScroll: true })
        this.go(this.place + move)
      },
    })
  }

  key(event) {
    if (event.target !== this.view || event.altKey) return
    const command = event.ctrlKey || event.metaKey
    const { page, total } = this.scroller
    const columns = this.setup.columns.length
    const moves = {
      ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowRight: [0, 1], ArrowLeft: [0, -1], PageDown: [page, 0], PageUp: [-page, 0],
      Home: command ? [-total, 0] : [0, -columns], End: command ? [total, 0] : [0, columns],
    }
    const row = this.windows.at(this.place)
    if (moves[event.key] && (!command || event.key === "Home" || event.key === "End")) {
      this.go(this.place + moves[event.key][0], this.column + moves[event.key][1])
    } else if (command && event.key.toLowerCase() === "z") this.actions[event.shiftKey ? "redo" : "undo"]()
    else if (command && event.key.toLowerCase() === "y") this.actions.redo()
    else if (command) return // the browser's
    else if (event.key === "Enter" || event.key === "F2") this.edit()
    else if (event.key === "Delete" || event.key === "Backspace") { if (row && event.key === "Delete") this.actions.drop(row) }
    else if (/^[1-9]$/.test(event.key) && this.setup.columns[this.column] === this.setup.label) {
      const label = this.setup.labels[event.key - 1]
      if (row && label) this.actions.label(row, label.name)
    } else {
      if (event.key !== "/") event.stopPropagation() // whoever types a letter here does not mean the keys of page.js
      return
    }
    event.preventDefault()
    event.stopPropagation()
  }
}
