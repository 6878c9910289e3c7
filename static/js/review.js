// The tab on the data: follows a search, pages, and decides by a press or a key; the server draws all of it.
import { announce, ask, askText } from "./http.js"

const FOLLOW_MS = 800

export function setUpReview(root) {
  let following = null
  let newest = 0 // only the answer to the last question is shown
  const place = () => root.querySelector("[data-review]")
  const rows = () => [...root.querySelectorAll("[data-suspect]")]

  async function show(query = location.search) {
    const mine = ++newest
    const html = await askText(`${place().dataset.review}${query}`).catch((error) => {
      announce(error.message)
      return null
    })
    if (html === null || mine !== newest) return follow()
    const searched = place().querySelector("[data-searching]")
    root.innerHTML = html
    if (searched && !place().querySelector("[data-searching]")) announce("The search for wrong labels has ended.")
    follow()
  }

  function follow() {
    clearTimeout(following)
    if (place()?.querySelector("[data-searching]")) following = setTimeout(show, document.hidden ? 5000 : FOLLOW_MS)
  }

  function focusOn(row) {
    for (const one of rows()) one.tabIndex = one === row ? 0 : -1
    row?.focus({ preventScroll: true })
    row?.scrollIntoView({ block: "nearest" })
  }

  async function send(form, button) {
    const fields = new URLSearchParams(new FormData(form))
    if (button?.name) fields.set(button.name, button.value)
    const here = form.closest("[data-suspect]")
    const next = here && (button.dataset.key === "0" ? here : here.nextElementSibling ?? here).id
    try {
      await ask(form.action, { method: "POST", body: fields })
    } catch (error) {
      announce(error.message)
      const told = form.querySelector(".problem") ?? form.appendChild(Object.assign(document.createElement("span"), { className: "problem" }))
      told.textContent = error.message
      return
    }
    await show()
    if (next) focusOn(document.getElementById(next))
  }

  root.addEventListener("submit", (event) => {
    const form = event.target
    if (form.method !== "post" || form.action.endsWith("/again")) return
    event.preventDefault()
    send(form, event.submitter)
  })
  root.addEventListener("click", (event) => {
    const link = event.target.closest(".pages a[rel]")
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return
    event.preventDefault()
    history.replaceState(null, "", link.href)
    show().then(() => {
      focusOn(rows()[0])
      root.querySelector("[data-suspects]")?.scrollIntoView({ block: "start" })
    })
  })
  root.addEventListener("keydown", (event) => {
    const row = event.target.closest("[data-suspect]")
    if (!row || event.ctrlKey || event.metaKey || event.altKey) return
    if (event.target.closest("input, select, textarea")) {
      if (event.key === "Escape") focusOn(row)
      return
    }
    const all = rows(), at = all.indexOf(row)
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: all.length - 1 }[event.key]
    const button = row.querySelector(`button[data-key="${CSS.escape(event.key)}"]`)
    if (to === undefined && !button) return
    event.preventDefault()
    if (button) button.click()
    else focusOn(all[Math.min(Math.max(to, 0), all.length - 1)])
  })
  root.addEventListener("focusin", ({ target }) => {
    const row = target.closest("[data-suspect]")
    if (row) for (const one of rows()) one.tabIndex = one === row ? 0 : -1
  })
  follow()
}
