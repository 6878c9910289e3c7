// The error browser: filters and pages change without a reload; the address keeps them.
import { announce, askText, later } from "./http.js"

export function setUpErrors(root) {
  let newest = 0 // only the answer to the last question is shown
  const form = () => root.querySelector("form[data-errors]")

  const asked = () => new URLSearchParams([...new FormData(form())].filter(([, value]) => value !== ""))

  async function show(query, { moved = false } = {}) {
    const mine = ++newest
    const list = root.querySelector("[data-error-list]")
    list.setAttribute("aria-busy", "true")
    try {
      const text = await askText(`${form().dataset.errors}?${query}`)
      if (mine !== newest) return
      const fresh = document.createElement("template")
      fresh.innerHTML = text
      const next = fresh.content.querySelector("[data-error-list]")
      list.replaceChildren(...next.childNodes)
      // The form keeps its field, with the cursor in it; only the counts behind its choices change.
      for (const select of form().querySelectorAll("select")) {
        const now = fresh.content.querySelector(`select[name="${select.name}"]`)
        if (!now) continue
        const chosen = now.querySelector("option[selected]")?.value ?? ""
        select.replaceChildren(...now.children)
        select.value = chosen
      }
      root.querySelector("[data-csv]").href = fresh.content.querySelector("[data-csv]").href
      history.replaceState(null, "", `?${query}#errors`)
      if (moved) {
        list.focus({ preventScroll: true })
        root.scrollIntoView({ block: "nearest" })
        list.querySelector(".scroll")?.scrollIntoView({ block: "nearest" })
      }
    } catch (error) {
      if (mine !== newest) return
      announce(error.message)
      list.replaceChildren(Object.assign(document.createElement("p"), { className: "problem", textContent: error.message }))
    }
    list.removeAttribute("aria-busy")
  }
  const search = () => show(asked())
  const searchSoon = later(250, search)

  root.addEventListener("submit", (event) => {
    if (event.target !== form()) return
    event.preventDefault()
    search()
  })
  root.addEventListener("change", ({ target }) => { if (target.matches("select")) search() })
  root.addEventListener("input", ({ target }) => { if (target.matches("[type=search]")) searchSoon() })
  root.addEventListener("click", (event) => {
    const link = event.target.closest("[data-error-list] a[rel]")
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return
    event.preventDefault()
    const query = new URLSearchParams(new URL(link.href).search)
    for (const field of form().elements) if (field.name) field.value = query.get(field.name) ?? ""
    show(query, { moved: true })
  })
  // What the page is asked to show, for whoever fetches it anew.
  return { filter: () => new URLSearchParams(location.search) }
}
