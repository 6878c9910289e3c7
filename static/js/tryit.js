// Try it: what is typed goes to the server, the answer comes back as a piece of the page.
import { askText } from "./http.js"

export function setUpTryIt(root) {
  root.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-try]")
    if (!form) return
    event.preventDefault()
    const shown = root.querySelector("[data-tried]")
    const button = form.querySelector("button")
    const say = (className, text) => shown.replaceChildren(Object.assign(document.createElement("p"), { className, textContent: text }))
    button.disabled = true
    shown.setAttribute("aria-busy", "true")
    // A quick answer needs no word that it is being made.
    const waiting = setTimeout(() => say("muted", form.dataset.waiting), 400)
    try {
      const body = new URLSearchParams(new FormData(form))
      shown.innerHTML = await askText(form.dataset.try, { method: "POST", body })
    } catch (error) {
      say("problem", error.problems?.length === 1 ? `The text ${error.problems[0].message}.` : error.message)
    } finally {
      clearTimeout(waiting)
    }
    shown.removeAttribute("aria-busy")
    button.disabled = false
  })
  root.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.closest("form[data-try]")?.requestSubmit()
  })
}
