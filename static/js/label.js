// The labelling view: one text at a time, a key for each label.
import { count } from "./format.js"
import { announce } from "./http.js"
import { Walk } from "./walk.js"

const KEYS = "123456789abcdefghijklmnopqrtuvwxyz" // s skips
const AT_ONCE = 5000 // rows in one change

const panel = document.querySelector("[data-label]")
if (panel) {
  const setup = JSON.parse(panel.dataset.label)
  const { label: column, kind } = setup
  const part = (name) => panel.querySelector(`[data-${name}]`)
  const [texts, choices] = ["texts", "choices"].map(part)
  const number = part("number")
  const walk = new Walk(panel, {
    column,
    draw,
    words: { every: "Every text has a label.", last: "every text has a label now.", open: "Some texts still have no label." },
  })

  const button = (name, nth) => {
    const made = Object.assign(document.createElement("button"), { type: "button", className: "button" })
    if (KEYS[nth]) made.append(Object.assign(document.createElement("kbd"), { textContent: KEYS[nth] }))
    made.append(Object.assign(document.createElement("span"), { textContent: name }))
    made.dataset.name = name
    return made
  }
  const offer = () => choices.replaceChildren(...setup.labels.slice(0, KEYS.length).map(({ name }, nth) => button(name, nth)))

  // Several labels are a|b, or a JSON list.
  const list = (cell) => {
    try {
      const found = cell.trim().startsWith("[") ? JSON.parse(cell) : null
      return Array.isArray(found) ? found.map(String) : null
    } catch {
      return null
    }
  }
  const parts = (cell) => (kind === "several" ? (list(cell) ?? cell.split("|")) : [cell])
  const chosen = (row) => parts(row.cells[column]).map((name) => name.trim()).filter(Boolean)

  function draw(row) {
    const on = row ? chosen(row) : []
    for (const one of choices.children) one.setAttribute("aria-pressed", on.includes(one.dataset.name))
    if (!row) return
    const many = setup.text.length > 1
    texts.replaceChildren(...setup.text.map((name) => {
      const text = Object.assign(document.createElement("p"), { className: "label-text", dir: "auto" })
      text.classList.toggle("long", row.cells[name].length > 600)
      if (many) text.append(Object.assign(document.createElement("small"), { className: "muted", textContent: name }))
      text.append(row.cells[name] || "(no text)")
      return text
    }))
    if (number) {
      number.elements.number.value = row.cells[column]
      number.elements.number.select()
    }
  }

  async function write(value) {
    const row = walk.row()
    if (!row) return
    walk.tell("")
    if (row.dropped) return walk.tell("This row is to be dropped: undo that, or skip it.")
    const written = walk.write(row, value)
    if (kind === "several") walk.show()
    else walk.go(walk.place + 1)
    await written
  }

  function give(name) {
    const row = walk.row()
    if (!row) return
    if (kind !== "several") {
      announce(name)
      return write(name)
    }
    const on = chosen(row)
    const after = on.includes(name) ? on.filter((one) => one !== name) : [...on, name]
    write(list(row.cells[column]) ? JSON.stringify(after) : after.join("|"))
  }

  choices.addEventListener("click", (event) => {
    const pressed = event.target.closest("button")
    if (pressed) give(pressed.dataset.name)
  })
  part("other")?.addEventListener("submit", (event) => {
    event.preventDefault()
    const field = event.target.elements.other
    const name = field.value.trim()
    if (!name) return field.focus()
    if (kind === "several" && name.includes("|")) return walk.tell("A label can't have | in it: that stands between labels.")
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
    if (value === "" || !Number.isFinite(Number(value))) return walk.tell(`${column} must be a number, such as 3.5.`)
    write(value)
  })

  // Before page.js, whose keys are labels here.
  document.addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey
    if (event.altKey || event.target.closest("input, textarea, select") || event.target.closest("details")) return
    if (command && event.key.toLowerCase() === "z") walk.edits.move(event.shiftKey ? "redo" : "undo")
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
        await walk.edits.change({ add: rows.slice(from, from + AT_ONCE) })
        paste.elements.texts.value = lines.slice(from + AT_ONCE).join("\n") // what is kept already
      }
    } catch (error) {
      place.textContent = error.message
      return
    }
    announce(`${count(lines.length)} texts added.`)
    paste.closest("details").open = false
    walk.which.querySelector("[value=new]").hidden = false
    walk.which.value = "new"
    document.activeElement?.blur()
    walk.begin()
  })

  offer()
  walk.begin()
}
