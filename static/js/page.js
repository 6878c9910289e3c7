// What every page has: the counts in the header, the theme switch, the keys.
import { announce } from "./http.js"
import { onSummary } from "./live.js"

const counts = document.querySelector("[data-counts]")
onSummary(({ counts: { running = 0, queued = 0 } }) => {
  const parts = []
  if (running) parts.push(`${running} running`)
  if (queued) parts.push(`${queued} queued`)
  counts.textContent = parts.join(" · ")
})

const root = document.documentElement
document.querySelector("[data-theme-switch]").addEventListener("click", () => {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches
  const now = root.dataset.theme ?? (dark ? "dark" : "light")
  root.dataset.theme = now === "dark" ? "light" : "dark"
  try {
    localStorage.setItem("theme", root.dataset.theme)
  } catch { /* it holds for this page */ }
  dispatchEvent(new Event("themechange"))
})

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, select, textarea")) return
  if (event.key === "/") {
    const filter = document.querySelector("[data-filter]")
    if (!filter) return
    event.preventDefault()
    filter.focus()
  } else if (event.key === "n") {
    const button = document.querySelector("[data-new]")
    if (button) button.click()
    else location.href = "/runs/new"
  }
})

// An open question closes with Escape or a press elsewhere.
document.addEventListener("click", ({ target }) => {
  for (const open of document.querySelectorAll("details.confirm[open]")) if (!open.contains(target)) open.open = false
})
document.addEventListener("keydown", ({ key }) => {
  if (key !== "Escape") return
  for (const open of document.querySelectorAll("details.confirm[open]")) {
    const inside = open.contains(document.activeElement)
    open.open = false
    if (inside) open.querySelector("summary").focus()
  }
})

// "Copy" beside a piece of code.
document.addEventListener("click", async ({ target }) => {
  const button = target.closest("[data-copy]")
  if (!button) return
  const text = document.querySelector(button.dataset.copy).textContent
  try {
    await navigator.clipboard.writeText(text)
    announce("copied")
    button.textContent = "Copied"
  } catch {
    getSelection().selectAllChildren(document.querySelector(button.dataset.copy))
    button.textContent = "Press Ctrl + C"
  }
  setTimeout(() => { button.textContent = "Copy" }, 2000)
})
