// The page of all rows: the table, its search, the form of a new row.
import { Edits } from "./edits.js"
import { count } from "./format.js"
import { Grid } from "./grid.js"
import { announce, later } from "./http.js"
import { Windows } from "./windows.js"

const panel = document.querySelector("[data-table]")
if (panel) {
  const setup = JSON.parse(panel.dataset.table)
  const found = panel.querySelector("[data-found]")
  const form = panel.querySelector("form[role=search]")
  const reader = panel.querySelector("[data-reader]")
  let goesTo = null // a row to go to once it is known how many there are

  const filtered = () => form.elements.q.value.trim() !== "" || form.elements.only.value !== ""

  const windows = new Windows(panel.dataset.rows, (told) => {
    if (told.version !== edits.expected) return location.reload() // saved or changed elsewhere
    form.removeAttribute("aria-busy")
    found.textContent = told.total ? `${count(told.total)} rows` : "No row has that."
    document.querySelector("[data-total]").textContent = `${count(told.rows)} rows`
    grid.draw()
    if (goesTo !== null) {
      const place = goesTo === "end" ? told.total - 1 : goesTo
      goesTo = null
      requestAnimationFrame(() => requestAnimationFrame(() => grid.go(place)))
    }
  }, (error) => {
    form.removeAttribute("aria-busy")
    found.textContent = error.message
  })

  const again = () => {
    windows.reset()
    grid.draw()
  }

  const edits = new Edits(panel.dataset.changes, Number(panel.dataset.expected), {
    onRows(rows, told) {
      // Rows that came or went move the others.
      if (rows === null || !rows.length || rows.some((row) => row.added) || told.added !== added) again()
      else {
        const places = rows.map((row) => windows.replace(row))
        const place = places.find((one) => one !== null) ?? (filtered() ? null : rows[0].position)
        if (place !== null) grid.go(place)
        grid.draw()
      }
      added = told.added
    },
    onVersion(version) {
      added = 0
      document.querySelector("[data-version]").textContent = `version ${version}`
      again()
    },
  })
  let added = 0

  const refuse = (sentence) => {
    announce(sentence)
    edits.problem(sentence)
  }
  const send = async (body) => {
    try {
      const told = await edits.change(body)
      added = told.added
      for (const row of told.rows) windows.replace(row)
      grid.draw()
      return true
    } catch (error) {
      refuse(error.message)
      again() // what is really there
      return false
    }
  }

  // Shown at once; the server's answer comes over it.
  const write = (row, column, value) => {
    const before = row.cells[column]
    if (before === value) return
    const saved = column in row.saved ? row.saved[column] : before
    row.cells[column] = value
    if (saved === value) delete row.saved[column]
    else if (!row.added) row.saved[column] = saved
    grid.draw()
    send({ cells: [{ row: row.row_id, column, value, before }] })
  }

  // A long text comes as a whole when the keyboard stays on it.
  const readSoon = later(200, (place) => windows.whole(place).then(() => grid.draw(), (error) => announce(error.message)))

  const grid = new Grid(panel.querySelector("[data-view]"), windows, setup, {
    write,
    refuse,
    undo: () => edits.move("undo"),
    redo: () => edits.move("redo"),
    drop(row) {
      row.dropped = !row.dropped
      grid.draw()
      announce(row.dropped ? "To be dropped." : "Kept.")
      send({ [row.dropped ? "drop" : "restore"]: [row.row_id] })
    },
    label(row, name) {
      if (row.dropped) return refuse("This row is to be dropped: press Del to keep it, then label it.")
      const now = row.cells[setup.label]
      if (setup.kind !== "several") {
        write(row, setup.label, name)
        return announce(name)
      }
      const parts = now.split("|").map((part) => part.trim()).filter(Boolean)
      write(row, setup.label, (parts.includes(name) ? parts.filter((part) => part !== name) : [...parts, name]).join("|"))
    },
    onActive(row, place) {
      reader.hidden = !row
      if (!row) return
      const [about, text] = reader.children
      const where = row.added ? "new row" : `row ${count(row.position + 1)}${row.line ? ` · line ${count(row.line)} of the file` : ""}`
      about.textContent = row.dropped ? `${where} · to be dropped` : where
      if (row.cut?.length && !row.asked) {
        row.asked = true
        readSoon(place)
      }
      const shown = (setup.text.length ? setup.text : setup.columns).map((name) => row.cells[name]).join("\n")
      if (text.textContent !== shown) text.textContent = shown
    },
  })

  const search = () => {
    const query = new URLSearchParams()
    const { q, only } = form.elements
    if (q.value.trim()) query.set("q", q.value.trim())
    if (only.value === "changed") query.set("changed", "true")
    else if (only.value) {
      query.set("column", setup.label)
      query.set("value", only.value.slice(1))
    }
    form.setAttribute("aria-busy", "true")
    found.textContent = "searching …"
    const address = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== ""))
    history.replaceState(null, "", `${location.pathname}${address.size ? "?" : ""}${address}`)
    windows.ask(query)
    goesTo = 0
    grid.draw()
  }
  const searchSoon = later(400, search)
  form.addEventListener("submit", (event) => {
    event.preventDefault()
    search()
  })
  form.addEventListener("input", ({ target }) => { if (target.matches("[type=search]")) searchSoon() })
  form.addEventListener("change", ({ target }) => { if (target.matches("select")) search() })
  const field = panel.querySelector("[data-go]")
  field.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return
    event.preventDefault()
    const number = Number(field.value.replace(/[\s,.]/g, ""))
    if (!Number.isInteger(number) || number < 1) return announce("Type the number of a row.")
    if (filtered()) {
      form.elements.q.value = form.elements.only.value = ""
      search()
      goesTo = number - 1
    } else grid.go(number - 1)
    panel.querySelector("[data-view]").focus()
  })

  document.querySelector("[data-add]").addEventListener("submit", async (event) => {
    event.preventDefault()
    const place = event.target.querySelector("[data-add-problem]")
    place.textContent = ""
    const row = {}
    for (const [name, value] of new FormData(event.target)) if (name.startsWith("value:")) row[name.slice(6)] = value.replaceAll("\r\n", "\n")
    try {
      added = (await edits.change({ add: [row] })).added
      event.target.reset()
      event.target.querySelector("textarea, input:not([type=hidden])").focus()
      announce("Added behind the other rows.")
      goesTo = "end"
      again()
    } catch (error) {
      place.textContent = error.message
    }
  })

  if (filtered()) search()
  else grid.draw()
}
