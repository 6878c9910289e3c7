// The field that opens over a cell. It belongs to the window, not to the cell: scrolling draws the cells anew.
export class CellEditor {
  // `onDone(value)`: keep it; `onEnd(move)`: the field has closed, and the keyboard goes on: 1 down, -1 up, 0 stays.
  constructor(layer) {
    this.layer = layer
    this.field = null
  }

  get open() { return this.field !== null }

  begin({ value, box, list, long, label, onDone, onEnd }) {
    this.end(true)
    const lines = long || value.includes("\n") // an input would take the ends of lines out
    const field = document.createElement(lines ? "textarea" : "input")
    Object.assign(field, { value, className: "cell-editor" })
    field.setAttribute("aria-label", label)
    field.dir = "auto"
    if (list && !lines) field.setAttribute("list", list)
    Object.assign(this, { field, onDone, onEnd, before: value })
    this.place(box)
    this.layer.append(field)
    field.addEventListener("keydown", (event) => {
      event.stopPropagation()
      if (event.isComposing) return
      if (event.key === "Escape") this.end(false)
      else if (event.key === "Enter" && !event.shiftKey) this.end(true, 1)
      else if (event.key === "Tab") this.end(true)
      else return
      event.preventDefault()
    })
    // Whoever presses elsewhere means what was typed.
    field.addEventListener("blur", () => this.end(true, null))
    if (field.tagName === "TEXTAREA") field.addEventListener("input", () => this.grow())
    field.focus({ preventScroll: true })
    field.select()
    this.grow()
    this.place(box)
  }

  // `box`: { left, top, width, height } in pixels of the layer; where the cell is out of sight it waits there.
  place(box) {
    const { style, offsetHeight } = this.field
    const top = Math.min(box.top, Math.max(0, this.layer.clientHeight - offsetHeight))
    Object.assign(style, { left: `${box.left}px`, top: `${top}px`, width: `${box.width}px`, minHeight: `${box.height}px` })
  }

  grow() {
    if (this.field?.tagName !== "TEXTAREA") return
    this.field.style.height = "auto"
    this.field.style.height = `${Math.min(this.field.scrollHeight + 2, 240)}px`
  }

  end(keep, move = 0) {
    if (!this.field) return
    const { field, onDone, onEnd, before } = this
    this.field = null
    const { value } = field
    field.remove()
    if (keep && value !== before) onDone(value)
    onEnd(move)
  }
}
