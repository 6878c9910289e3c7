// Marking entities: one text at a time, words chosen by arrows or by drawing over them, a key for each type.
import { announce, askJson } from "./http.js"
import { Walk } from "./walk.js"

const KEYS = "123456789abcdefghijklmnopqrtuvwxyz" // s skips
const COLOURS = 8

const panel = document.querySelector("[data-entities]")
if (panel) {
  const { column, scheme, types } = JSON.parse(panel.dataset.entities)
  const part = (name) => panel.querySelector(`[data-${name}]`)
  const [texts, choices] = ["texts", "choices"].map(part)
  const walk = new Walk(panel, {
    column,
    draw,
    words: { every: "Every text is marked.", last: "every text is marked now.", open: "Some texts are still to be marked." },
  })
  // What is shown: words and entities as the server reads them, [first, behind, type, the span as it is written]; from … to are the words
  // chosen, both included.
  let shown = null
  let asked = 0
  let from = 0
  let to = 0

  const colour = (type) => {
    if (!types.includes(type)) learn(type)
    return types.indexOf(type) % COLOURS
  }
  const button = (name, nth) => {
    const made = Object.assign(document.createElement("button"), { type: "button", className: `button ent-${nth % COLOURS}` })
    if (KEYS[nth]) made.append(Object.assign(document.createElement("kbd"), { textContent: KEYS[nth] }))
    made.append(Object.assign(document.createElement("span"), { className: "ent", textContent: name }))
    made.dataset.name = name
    return made
  }
  const offer = () => {
    const none = Object.assign(document.createElement("button"), { type: "button", className: "button", textContent: "no entity" })
    none.prepend(Object.assign(document.createElement("kbd"), { textContent: "0" }))
    none.dataset.none = ""
    choices.replaceChildren(...types.slice(0, KEYS.length).map(button), none)
  }
  function learn(type) {
    types.push(type)
    document.querySelector("#types").append(Object.assign(document.createElement("option"), { textContent: type }))
    offer()
  }

  const entityAt = (word) => shown.entities.find(([first, behind]) => first <= word && word < behind)

  async function draw(row) {
    const mine = ++asked
    shown = null
    for (const one of choices.children) one.setAttribute("aria-pressed", false)
    if (!row || row.cut?.length) return // what is cut comes again when it is whole
    try {
      await walk.edits.last // what was changed here counts
      const told = await askJson(`${panel.dataset.rows}/${row.row_id}/entities?${panel.dataset.query}`)
      if (mine !== asked) return
      shown = told
      shown.listed = Array.isArray(told.spans[0]) // spans may be [0, 6, "LOC"]
      shown.entities.forEach((entity, nth) => entity.push(told.spans[nth]))
    } catch (error) {
      if (mine === asked) walk.tell(error.message)
      return
    }
    from = to = Math.min(from, Math.max(0, shown.words.length - 1))
    if (shown.fault) walk.tell(`This row can’t be read as it is: ${shown.fault}. What you mark replaces it.`)
    render()
  }

  function render() {
    const text = Object.assign(document.createElement("p"), { className: "label-text words", dir: "auto", tabIndex: 0 })
    text.setAttribute("role", "application")
    text.setAttribute("aria-label", "the words of the text: arrow keys choose")
    text.classList.toggle("long", shown.words.length > 80)
    const [first, behind] = chosen()
    let inside = null
    shown.words.forEach((one, at) => {
      const entity = entityAt(at)
      const begins = entity && entity[0] === at
      ;(begins || !entity ? text : inside).append(one.before)
      if (begins) {
        inside = Object.assign(document.createElement("mark"), { className: `ent ent-${colour(entity[2])}` })
        text.append(inside)
      }
      const word = Object.assign(document.createElement("span"), { className: "word", textContent: one.text })
      word.dataset.at = at
      word.classList.toggle("picked", first <= at && at < behind)
      ;(entity ? inside : text).append(word)
      if (entity && entity[1] === at + 1) inside.append(Object.assign(document.createElement("small"), { textContent: entity[2] }))
    })
    if (!shown.words.length) text.append("(no words)")
    const focused = texts.contains(document.activeElement)
    texts.replaceChildren(text)
    if (focused || document.activeElement === document.body) text.focus({ preventScroll: true })
    text.querySelector(".picked")?.scrollIntoView({ block: "nearest" })
    const entity = entityAt(first)
    const whole = entity && entity[0] === first && entity[1] === behind
    for (const one of choices.children) one.setAttribute("aria-pressed", whole ? one.dataset.name === entity[2] : false)
  }

  // [first word, behind the last]: a single word in an entity means the whole of it.
  function chosen() {
    const entity = from === to ? entityAt(from) : null
    return entity ? [entity[0], entity[1]] : [Math.min(from, to), Math.max(from, to) + 1]
  }

  function say() {
    const [first, behind] = chosen()
    const entity = entityAt(first)
    const words = shown.words.slice(first, behind).map((one) => one.text).join(" ")
    announce(entity && entity[0] === first && entity[1] === behind ? `${words}: ${entity[2]}` : words)
  }

  function move(step, several) {
    if (!shown?.words.length) return
    const last = shown.words.length - 1
    const entity = several || from !== to ? null : entityAt(from)
    const next = entity ? (step > 0 ? entity[1] - 1 + step : entity[0] + step) : to + step
    to = Math.max(0, Math.min(last, next))
    if (!several) from = to
    render()
    say()
  }

  // The cell as these entities have it; a span that was there stays as it is written.
  function written(row) {
    const sorted = [...shown.entities].sort((one, other) => one[0] - other[0])
    if (scheme === "spans") {
      return JSON.stringify(sorted.map(([first, behind, label, span]) => {
        const [start, end] = [shown.words[first].start, shown.words[behind - 1].end]
        return span ?? (shown.listed ? [start, end, label] : { start, end, label })
      }))
    }
    const tags = shown.words.map(() => "O")
    for (const [first, behind, type] of sorted) {
      for (let at = first; at < behind; at++) tags[at] = scheme === "types" ? type : `${at === first ? "B" : "I"}-${type}`
    }
    const cell = row.cells[column]
    return cell.trim() && !cell.trim().startsWith("[") ? tags.join(" ") : JSON.stringify(tags)
  }

  function changeable() {
    const row = walk.row()
    if (!row || !shown || shown.row_id !== row.row_id || !shown.words.length) return null
    walk.tell("")
    if (!row.dropped) return row
    walk.tell("This row is to be dropped: undo that, or skip it.")
    return null
  }

  // `type` null: no entity there any more.
  function give(type) {
    const row = changeable()
    if (!row) return
    const [first, behind] = chosen()
    const rest = shown.entities.filter(([start, end]) => end <= first || behind <= start)
    if (type === null && rest.length === shown.entities.length) return
    shown.entities = type === null ? rest : [...rest, [first, behind, type]]
    shown.marked = true
    from = to = behind - 1
    walk.write(row, written(row))
    render()
    if (type === null) announce("no entity")
    else say()
  }

  function keep() {
    if (walk.ended) return
    const row = changeable()
    if (row && !shown.marked) walk.write(row, written(row))
    if (row) next()
  }
  const next = () => {
    from = to = 0
    part("skip").click()
  }

  choices.addEventListener("click", (event) => {
    const pressed = event.target.closest("button")
    if (pressed) give(pressed.dataset.name ?? null)
  })
  part("keep").addEventListener("click", keep)

  part("other").addEventListener("submit", (event) => {
    event.preventDefault()
    const field = event.target.elements.other
    const name = field.value.trim()
    if (!name) return field.focus()
    if (!types.includes(name)) learn(name)
    field.value = ""
    field.blur()
    give(name)
  })

  // Drawing over words.
  let drawing = false
  const wordAt = (x, y) => document.elementFromPoint(x, y)?.closest(".words .word")
  texts.addEventListener("pointerdown", (event) => {
    const word = event.target.closest(".word")
    if (!word || !shown || event.button) return
    event.preventDefault()
    drawing = true
    to = Number(word.dataset.at)
    if (!event.shiftKey) from = to
    render()
    texts.firstElementChild.focus({ preventScroll: true })
  })
  addEventListener("pointermove", (event) => {
    const word = drawing && shown ? wordAt(event.clientX, event.clientY) : null
    if (!word || Number(word.dataset.at) === to) return
    to = Number(word.dataset.at)
    render()
  })
  addEventListener("pointerup", () => {
    if (drawing && shown) say()
    drawing = false
  })

  // Before page.js, whose keys are types here.
  document.addEventListener("keydown", (event) => {
    const command = event.ctrlKey || event.metaKey
    if (event.altKey || event.target.closest("input, textarea, select")) return
    const nth = event.key.length === 1 ? KEYS.indexOf(event.key.toLowerCase()) : -1
    if (command && event.key.toLowerCase() === "z") walk.edits.move(event.shiftKey ? "redo" : "undo")
    else if (command || (event.target.closest("button, a") && ["Enter", " "].includes(event.key))) return
    else if (event.key === "ArrowRight" || event.key === "ArrowLeft") {
      const forward = getComputedStyle(texts.firstElementChild ?? texts).direction === "rtl" ? "ArrowLeft" : "ArrowRight"
      move(event.key === forward ? 1 : -1, event.shiftKey)
    } else if (event.key === "Home" || event.key === "End") move(event.key === "Home" ? -Infinity : Infinity, event.shiftKey)
    else if (event.key === "Enter") keep()
    else if (event.key === "ArrowDown" || event.key === "s" || event.key === "S") next()
    else if (event.key === "ArrowUp") part("back").click()
    else if (["0", "Delete", "Backspace"].includes(event.key)) give(null)
    else if (nth >= 0 && types[nth] !== undefined) give(types[nth])
    else return
    event.preventDefault()
    event.stopImmediatePropagation()
  }, true)

  offer()
  walk.begin()
}
