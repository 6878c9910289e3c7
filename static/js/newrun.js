// The new-run form: says what will happen while it is filled in, and puts each problem at its field. What depends on
// another field comes from the page that the server makes for the new choice; what was typed goes along and comes back.
import { announce, askJson, askText, later } from "./http.js"

const form = document.querySelector("form[data-preview]")
if (form) {
  // form.dataset is the form's own field of that name.
  const address = form.getAttribute("data-preview")
  const will = form.querySelector("[data-will]")
  const kept = new Map() // of fields that another task doesn't have, for when its task comes back
  let asking = null
  let swapping = null

  const show = ({ aside, stack, problems, defaults, why }) => {
    will.innerHTML = aside
    if (stack !== null) form.querySelector("[data-stack]").innerHTML = stack
    for (const place of form.querySelectorAll("[data-problem]")) {
      const told = (problems[place.dataset.problem] ?? []).join("; ")
      place.textContent = told
      const field = form.elements[place.dataset.problem]
      if (field instanceof HTMLElement) field.toggleAttribute("aria-invalid", false)
      if (told && field instanceof HTMLElement) field.setAttribute("aria-invalid", "true")
      if (told) for (let open = place.closest("details"); open; open = open.parentElement.closest("details")) open.open = true
    }
    for (const field of form.querySelectorAll("[data-plain]")) {
      field.placeholder = defaults[field.name] || field.dataset.plain
    }
    for (const place of form.querySelectorAll("[data-why]")) {
      place.textContent = why[place.dataset.why] ?? place.dataset.hint
    }
  }

  const preview = async () => {
    asking?.abort()
    asking = new AbortController()
    try {
      const body = new URLSearchParams(new FormData(form))
      show(await askJson(address, { method: "POST", body, signal: asking.signal }))
    } catch (error) {
      if (error.name === "AbortError") return
      will.textContent = error.message
    }
  }
  const previewLater = later(250, preview)

  const splitFields = () => {
    const kind = form.elements.split.value
    for (const field of form.querySelectorAll("[data-for-split]")) {
      field.hidden = !field.dataset.forSplit.split(" ").includes(kind)
    }
  }

  // At once, before the server has answered with the numbers of it.
  const slide = (slider) => {
    slider.parentElement.querySelector("output").value = slider.value
    for (const level of form.querySelectorAll("[data-stack] li")) {
      const learns = Number(level.dataset.to) > Number(slider.max) - Number(slider.value)
      level.classList.toggle("learns", learns)
      level.classList.toggle("frozen", !learns)
    }
  }

  // Buttons for browsers without scripts: unseen, they would still be what Enter in a field presses.
  const withoutPlain = (root) => { for (const button of root.querySelectorAll("button.plain")) button.remove() }

  const swap = async (names) => {
    for (const { name } of form.elements) kept.delete(name)
    const typed = new Map(new FormData(form))
    const query = new URLSearchParams([...kept, ...typed])
    for (const [name, value] of typed) kept.set(name, value)
    swapping?.abort()
    swapping = new AbortController()
    const page = new DOMParser().parseFromString(await askText(`/runs/new?${query}`, { signal: swapping.signal }), "text/html")
    for (const name of names) {
      const [old, now] = [form, page].map((root) => root.querySelector(`[data-section="${name}"]`))
      if (old && now) old.replaceWith(document.adoptNode(now))
    }
    withoutPlain(form)
  }

  const swapAndLook = async (names) => {
    try {
      await swap(names)
      splitFields()
      await preview()
    } catch (error) {
      if (error.name !== "AbortError") will.textContent = error.message
    }
  }

  // Whoever comes back by the browser's button finds the choices of before, in a page that was made for others.
  const restored = () => [...form.elements].some((field) => ["task", "way", "strategy"].includes(field.name) && field.checked !== field.defaultChecked)
    || !form.elements.dataset.selectedOptions[0]?.defaultSelected

  form.addEventListener("input", ({ target }) => {
    // Whoever types or chooses beside a radio button means it.
    if (target.dataset.of && target.value) form.querySelector(`input[name=model][value="${target.dataset.of}"]`).checked = true
    if (target.matches("[data-slides]")) slide(target)
    splitFields()
    previewLater()
  })
  form.addEventListener("change", async ({ target }) => {
    if (target.dataset.ticks && target.checked) form.elements[target.dataset.ticks].value = ""
    else if (target.matches("select[data-swaps=values]") && target.value) {
      for (const tick of form.querySelectorAll("[data-ticks]")) if (tick.dataset.ticks === target.name) tick.checked = false
    }
    if (target.dataset.chooses) form.elements[target.dataset.chooses].focus()
    const names = (target.dataset.swaps ?? "").split(" ").filter(Boolean)
    if (names.length) await swapAndLook(names)
  })
  // What was typed stays.
  form.addEventListener("click", async (event) => {
    const save = event.target.closest("[data-save-edits]")
    if (!save) return
    event.preventDefault()
    save.disabled = true
    try {
      await askJson(save.dataset.saveEdits, { method: "POST" })
    } catch (error) {
      announce(error.message)
    }
    await swapAndLook(["edits"])
  })
  form.addEventListener("submit", () => {
    // A second press must not start a second run; a page that comes back from the cache can start again.
    const button = form.querySelector("button[type=submit]:not([form])")
    setTimeout(() => { button.disabled = true }, 0)
    addEventListener("pageshow", () => { button.disabled = false }, { once: true })
  })

  addEventListener("pageshow", () => {
    if (restored()) swapAndLook(["columns", "model", "strategy", "learns", "options", "split"])
  })
  withoutPlain(form)
  splitFields()
  preview()
  // The run's page needs this at once; from here on it comes out of the browser's cache.
  fetch(form.getAttribute("data-bokeh"), { priority: "low" }).catch(() => {})
}
