// The labelling view: one text at a time, a key for each label.
import { Edits } from "./edits.js"
import { count } from "./format.js"
import { announce } from "./http.js"
import { Windows } from "./windows.js"

const KEYS = "123456789abcdefghijklmnopqrtuvwxyz" // s skips
const AT_ONCE = 5000 // rows in one change

const panel = document.querySelector("[data-label]")
if (panel) {
  const setup = JSON.parse(panel.dataset.label)
  const { label: column, kind } = setup
  const part = (name) => panel.querySelector(`[data-${name}]`)
  const [which, texts, choices, problem] = ["which", "texts", "choices", "problem"].map(part)
  const number = part("number")
  let saved = Number(panel.dataset.saved) // rows of the version; those that were added come behind
  let place = null // in the windows
  let ended = false
  let moving = false

  const first = () => which.value === "new" ? saved : 0
  const now = () => place === null ? undefined : windows.at(place)
  const needsOne = (row) => !row.dropped && row.cells[column].trim() === ""

  const waiting = new Set() // for pages
  const windows = new Windows(panel.dataset.rows, (told) => {
    if (told.version !== edits.expected) return location.reload() // saved or changed elsewhere
    for (const look of [...waiting]) look()
  }, (error) => tell(error.message))

  // The row at a place, once it is here; null behind the end.
  const rowAt = (at) => new Promise((done) => {
    const look = () => {
      const row = windows.at(at)
      if (row === undefined && (windows.total === null || at < windows.total)) return windows.want(at, at + 20)
      waiting.delete(look)
      done(row ?? null)
    }
    waiting.add(look)
    look()
  })

  // The first place from `at` on whose text has no label; null if all have one.
  const nextOpen = async (at) => {
    for (; ; at++) {
      const row = await rowAt(at)
      if (row === null) return null
      if (needsOne(row)) return at
    }
  }

  const edits = new Edits(panel.dataset.changes, Number(panel.dataset.expected), {
    async onRows(rows) {
      if (rows === null || !rows.length || rows.some((row) => windows.replace(row) === null)) return begin(place)
      place = windows.placeOf(rows[0].row_id)
      ended = false
      show()
    },
    onVersion(version) {
      document.querySelector("[data-version]").textContent = `version ${version}`
      if (which.value === "new") which.value = "empty"
      which.querySelector("[value=new]").hidden = true
      begin()
    },
  })

  const tell = (sentence) => {
    problem.textContent = sentence
    if (sentence) announce(sentence)
  }

  const button = (name, nth) => {
    const made = Object.assign(document.createElement("button"), { type: "button", className: "button" })
    if (KEYS[nth]) made.append(Object.assign(document.createElement("kbd"), { textContent: KEYS[nth] }))
    made.append(Object.assign(document.createElement("span"), { textContent: name }))
    made.dataset.name = name
    return made
  }
  const offer = () => choices.replaceChildren(...setup.labels.slice(0, KEYS.length).map(({ name }, nth) => button(name, nth)))

  const chosen = (row) => (kind === "several" ? row.cells[column].split("|") : [row.cells[column]]).map((name) => name.trim()).filter(Boolean)

  function show() {
    const row = now()
    const total = windows.total === null ? 0 : windows.total - first()
    const nth = place === null ? 0 : place - first()
    part("bar").max = Math.max(1, total)
    part("bar").value = ended ? total : nth
    part("place").textContent = ended || !total ? `${count(total)} texts` : `text ${count(nth + 1)} of ${count(total)}`
    panel.classList.toggle("dropped", Boolean(row?.dropped))
    if (ended || !row) return
    if (row.cut?.length) windows.whole(place).then((whole) => { if (whole && whole === now()) show() }, (error) => tell(error.message))
    const many = setup.text.length > 1
    texts.replaceChildren(...setup.text.map((name) => {
      const text = Object.assign(document.createElement("p"), { className: "label-text", dir: "auto" })
      text.classList.toggle("long", row.cells[name].length > 600)
      if (many) text.append(Object.assign(document.createElement("small"), { className: "muted", textContent: name }))
      text.append(row.cells[name] || "(no text)")
      return text
    }))
    const on = chosen(row)
    for (const one of choices.children) one.setAttribute("aria-pressed", on.includes(one.dataset.name))
    if (number) {
      number.elements.number.value = row.cells[column]
      number.elements.number.select()
    }
  }

  async function go(at) {
    tell("")
    moving = true // a key that comes before the next text is here is not meant for the last one
    const row = await rowAt(at)
    moving = false
    if (row === null) return end()
    ended = false
    place = at
    show()
  }

  // Behind the last text: whether all have a label.
  async function end() {
    ended = true
    place = windows.total
    const open = await nextOpen(first())
    const told = Object.assign(document.createElement("p"), { className: "label-text" })
    const none = windows.total - first() === 0
    told.textContent = none ? (which.value === "empty" ? "Every text has a label." : "There is no text here.")
      : open === null ? "That was the last one: every text has a label now." : "That was the last one. Some texts still have no label."
    texts.replaceChildren(told)
    if (open !== null) {
      const again = Object.assign(document.createElement("button"), { type: "button", className: "button", textContent: "Look at these again" })
      again.addEventListener("click", () => go(open))
      texts.append(again)
    }
    for (const one of choices.children) one.setAttribute("aria-pressed", false)
    show()
  }

  // `at`: where to go on; else the first without a label.
  async function begin(at = null) {
    const query = new URLSearchParams()
    if (which.value === "empty") {
      query.set("column", column)
      query.set("value", "")
    }
    waiting.clear()
    windows.ask(query)
    place = null
    ended = false
    part("place").textContent = "looking …"
    if (which.value === "all" && at === null) return go(0)
    const open = at === null ? await nextOpen(first()) : at
    return open === null ? end() : go(open)
  }

  async function write(value) {
    const row = now()
    if (!row || ended || moving) return
    tell("")
    if (row.dropped) return tell("This row is to be dropped: undo that, or skip it.")
    const before = row.cells[column]
    row.cells[column] = value
    if (kind === "several") show()
    else go(place + 1)
    if (before === value) return
    try {
      const told = await edits.change({ cells: [{ row: row.row_id, column, value, before }] })
      for (const one of told.rows) windows.replace(one)
    } catch (error) {
      const here = place
      await begin(here)
      tell(error.message)
    }
  }

  function give(name) {
    const row = now()
    if (!row || ended || moving) return
    if (kind !== "several") {
      announce(name)
      return write(name)
    }
    const on = chosen(row)
    write((on.includes(name) ? on.filter((one) => one !== name) : [...on, name]).join("|"))
  }

  choices.addEventListener("click", (event) => {
    const pressed = event.target.closest("button")
    if (pressed) give(pressed.dataset.name)
  })
  part("skip").addEventListener("click", () => place !== null && !ended && go(place + 1))
  part("back").addEventListener("click", () => place > first() && go(place - 1))
  which.addEventListener("change", () => begin())

  part("other")?.addEventListener("submit", (event) => {
    event.preventDefault()
    const field = event.target.elements.other
    const name = field.value.trim()
    if (!name) return field.focus()
    if (kind === "several" && name.includes("|")) return tell("A label can't have | in it: that stands between labels.")
    if (!setup.labels.some((one) => one.name === name)) {
      setup.labels.push({ name, key: "", count: 0 })
      document.querySelector("#labels").append(Object.assign(document.createElement("option"), { textContent: name }))
      offer()
    }
    field.value = ""
    field.blur()
    give(name)
  })
  number?.addEventListener("submit", (event) => {
    event.preventDefault()
    const value = number.elements.number.value.trim()
    if (value === "" || !Number.isFinite(Number(value))) return tell(`${column} must be a number, such as 3.5.`)
    write(value)
  })

  // Before page.js, whose keys are labels here.
  document.addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey
    if (event.altKey || event.target.closest("input, textarea, select") || event.target.closest("details")) return
    if (command && event.key.toLowerCase() === "z") edits.move(event.shiftKey ? "redo" : "undo")
    else if (command || (event.target.closest("button, a") && ["Enter", " "].includes(event.key))) return
    else if (event.key === "ArrowRight" || event.key === "s" || event.key === "S") part("skip").click()
    else if (event.key === "ArrowLeft" || event.key === "Backspace") part("back").click()
    else {
      const nth = KEYS.indexOf(event.key.toLowerCase())
      const label = event.key.length === 1 && nth >= 0 && kind !== "numbers" ? setup.labels[nth] : null
      if (!label) return
      give(label.name)
    }
    event.preventDefault()
    event.stopImmediatePropagation()
  }, true)

  const paste = document.querySelector("[data-paste]")
  paste.querySelector("[data-file]").addEventListener("change", async ({ target }) => {
    if (target.files[0]) paste.elements.texts.value += await target.files[0].text()
    target.value = ""
  })
  paste.addEventListener("submit", async (event) => {
    event.preventDefault()
    const place = paste.querySelector("[data-paste-problem]")
    place.textContent = ""
    const lines = paste.elements.texts.value.split(/\r?\n/).filter((line) => line.trim())
    if (!lines.length) return paste.elements.texts.focus()
    const rows = lines.map((line) => {
      const cells = setup.text.length === 2 ? line.split("\t") : [line.trim()]
      return Object.fromEntries(setup.text.slice(0, cells.length).map((name, nth) => [name, cells[nth].trim()]))
    })
    try {
      for (let from = 0; from < rows.length; from += AT_ONCE) {
        await edits.change({ add: rows.slice(from, from + AT_ONCE) })
        paste.elements.texts.value = lines.slice(from + AT_ONCE).join("\n") // what is kept already
      }
    } catch (error) {
      place.textContent = error.message
      return
    }
    announce(`${count(lines.length)} texts added.`)
    paste.closest("details").open = false
    which.querySelector("[value=new]").hidden = false
    which.value = "new"
    document.activeElement?.blur()
    begin()
  })

  offer()
  begin()
}
