// Scrolls through more rows than a browser lets an element be high: the rows stand in a window that stays in place, and the
// scroll bar, honest in its length and place, moves through a space that is shorter than the rows are.
const MOST = 12_000_000 // pixels; browsers stop somewhere between 17 and 33 million

export class Scroller {
  // `view`: scrolls; its only child is the space, whose only child is the window. `onMove()`: other rows are to be drawn.
  constructor(view, { height, head, onMove }) {
    Object.assign(this, { view, height, head, onMove })
    this.space = view.firstElementChild
    this.window = this.space.firstElementChild
    this.total = 0
    this.top = 0 // of the rows, in their own pixels
    this.set = -1
    view.addEventListener("scroll", () => {
      if (Math.abs(view.scrollTop - this.set) < 1) return // our own, or sideways
      this.set = view.scrollTop
      this.top = view.scrollTop * this.ratio
      this.onMove()
    })
    view.addEventListener("wheel", (event) => {
      // Where the space is shorter, the browser's own step would leap over rows.
      if (this.ratio === 1 || event.ctrlKey || event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) return
      const step = event.deltaY * [1, this.height, this.page * this.height][event.deltaMode]
      if (this.go(this.top + step)) event.preventDefault()
    }, { passive: false })
    new ResizeObserver(() => this.measure()).observe(view)
  }

  get room() { return Math.max(this.height, this.view.clientHeight - this.head) }
  get page() { return Math.max(1, Math.floor(this.room / this.height)) } // whole rows that are seen
  get end() { return Math.max(0, this.total * this.height - this.room) }
  get first() { return Math.floor(this.top / this.height) }
  get last() { return Math.min(this.total, Math.ceil((this.top + this.room) / this.height)) - 1 }

  // The pixels of rows that one pixel of the bar is.
  get ratio() {
    const way = this.space.offsetHeight - this.view.clientHeight
    return this.total * this.height > MOST && way > 0 ? this.end / way : 1
  }

  // `total`: how many rows there are.
  count(total) {
    this.total = total
    this.space.style.height = `${Math.min(MOST, total * this.height) + this.head}px`
    this.measure()
  }

  measure() {
    this.window.style.height = `${this.view.clientHeight}px`
    this.go(this.top)
    this.onMove()
  }

  // Whether that moved.
  go(top) {
    const before = this.top
    this.top = Math.min(Math.max(0, top), this.end)
    this.view.scrollTop = this.top / this.ratio
    this.set = this.view.scrollTop
    if (this.top !== before) this.onMove()
    return this.top !== before
  }

  // Scrolls as little as shows the row at `place`.
  show(place) {
    const begin = place * this.height
    if (begin < this.top) this.go(begin)
    else if (begin + this.height > this.top + this.room) this.go(begin + this.height - this.room)
  }
}
