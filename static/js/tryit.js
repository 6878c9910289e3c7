// Try it: a text goes to the predictor, the probabilities come back as bars.
import { askJson } from "./http.js"

export function setUpTryIt(root) {
  root.addEventListener("submit", async (event) => {
    const form = event.target.closest("form[data-try]")
    if (!form) return
    event.preventDefault()
    const shown = root.querySelector("[data-tried]")
    const button = form.querySelector("button")
    button.disabled = true
    try {
      const { outputs } = await askJson(form.dataset.try, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify({ inputs: [form.elements.text.value] }),
      })
      shown.replaceChildren(bars(outputs[0].probabilities))
    } catch (error) {
      shown.replaceChildren(Object.assign(document.createElement("p"), { className: "problem", textContent: error.message }))
    }
    button.disabled = false
  })
  root.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) event.target.closest("form[data-try]")?.requestSubmit()
  })
}

function bars(probabilities) {
  const list = document.createElement("div")
  list.className = "bars"
  for (const [label, share] of Object.entries(probabilities).sort((a, b) => b[1] - a[1])) {
    const name = Object.assign(document.createElement("span"), { className: "name", textContent: label, title: label, dir: "auto" })
    const number = Object.assign(document.createElement("span"), { className: "muted num", textContent: share.toFixed(3) })
    list.append(name, bar(100 * share), number)
  }
  return list
}

function bar(width) {
  const make = (name, values) => {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name)
    for (const [key, value] of Object.entries(values)) element.setAttribute(key, value)
    return element
  }
  const svg = make("svg", { viewBox: "0 0 100 12", preserveAspectRatio: "none", "aria-hidden": "true" })
  svg.append(make("rect", { width: width.toFixed(2), height: 12 }))
  return svg
}
