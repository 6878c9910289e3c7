// Windows of a long list: fetched in pages of a hundred rows, the ones that are scrolled past not any more.
import { askJson } from "./http.js"

const SIZE = 100
const KEPT = 60 // pages
const CUT = 2000 // characters of a cell; the whole of a row is asked for by itself

export class Windows {
  constructor(address, onPage, onProblem) {
    Object.assign(this, { address, onPage, onProblem })
    this.query = new URLSearchParams()
    this.reset()
  }

  // Another search: nothing is known of it.
  ask(query) {
    this.query = query
    this.reset()
  }

  reset() {
    this.pages?.forEach((page) => page.asking?.abort())
    this.pages = new Map() // number → { items, asking }
    this.total = null
    this.age = (this.age ?? 0) + 1
  }

  // The row at a place, if it is here.
  at(place) {
    return this.pages.get(Math.floor(place / SIZE))?.items?.[place % SIZE]
  }

  // The place of a row, if it is here.
  placeOf(id) {
    for (const [number, page] of this.pages) {
      const found = page.items?.findIndex((one) => one.row_id === id) ?? -1
      if (found >= 0) return number * SIZE + found
    }
    return null
  }

  replace(row) {
    const place = this.placeOf(row.row_id)
    if (place !== null) this.pages.get(Math.floor(place / SIZE)).items[place % SIZE] = row
    return place
  }

  // Has the pages of rows first … last fetched; what is being fetched and not among them is given up.
  want(first, last) {
    const wanted = new Set()
    for (let number = Math.floor(first / SIZE); number <= Math.floor(Math.max(first, last) / SIZE); number++) wanted.add(number)
    for (const [number, page] of this.pages) {
      if (!page.items && !wanted.has(number)) {
        page.asking.abort()
        this.pages.delete(number)
      }
    }
    for (const number of wanted) if (!this.pages.has(number)) this.fetch(number)
  }

  // The row at a place with the whole of its cells; null if it is not there any more. Throws what the server says.
  async whole(place) {
    const row = this.at(place)
    if (!row?.cut?.length) return row ?? null
    const age = this.age
    const { items: [found] } = await this.read(place, 1, {})
    if (age !== this.age || found?.row_id !== row.row_id) return null
    for (const name of row.cut) if (found.cells[name].startsWith(row.cells[name])) row.cells[name] = found.cells[name]
    row.cut = []
    return row
  }

  read(offset, limit, more, signal) {
    const query = new URLSearchParams({ ...Object.fromEntries(this.query), edits: true, offset, limit, ...more })
    return askJson(`${this.address}?${query}`, { signal })
  }

  async fetch(number) {
    const page = { items: null, asking: new AbortController() }
    const age = this.age
    this.pages.set(number, page)
    try {
      const told = await this.read(number * SIZE, SIZE, { cut: CUT }, page.asking.signal)
      if (age !== this.age) return
      page.items = told.items
      this.total = told.total
      this.forget(number)
      this.onPage(told)
    } catch (error) {
      if (age !== this.age || error.name === "AbortError") return
      this.pages.delete(number)
      this.onProblem(error)
    }
  }

  // The pages that are farthest from the newest one go.
  forget(near) {
    if (this.pages.size <= KEPT) return
    const far = [...this.pages.keys()].sort((one, other) => Math.abs(other - near) - Math.abs(one - near))
    for (const number of far.slice(0, this.pages.size - KEPT)) if (this.pages.get(number).items) this.pages.delete(number)
  }
}
