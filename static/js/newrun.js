// The new-run form: says what will happen while it is filled in, and puts each problem at its field.
import { askJson, askText, later } from "./http.js"

const form = document.querySelector("form[data-preview]")
if (form) {
  // form.dataset is the form's own field of that name.
  const address = form.getAttribute("data-preview")
  const will = form.querySelector("[data-will]")
  let asking = null

  const show = ({ aside, problems, defaults, why }) => {
    will.innerHTML = aside
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

  form.addEventListener("input", ({ target }) => {
    if (target.matches("[data-other-id]")) form.querySelector("[data-other]").checked = true
    splitFields()
    previewLater()
  })
  form.addEventListener("change", async ({ target }) => {
    if (target.matches("[data-reload]")) {
      // Another data set has other columns; what was typed stays in the address of the model alone.
      const query = new URLSearchParams({ dataset: target.value, model: chosenModel() })
      location.href = `/runs/new?${query}`
    } else if (target.dataset.labels) {
      const query = new URLSearchParams({ label: target.value })
      form.querySelector("[data-bars]").innerHTML = await askText(`${target.dataset.labels}?${query}`)
    } else if (target.matches("[data-other]")) form.querySelector("[data-other-id]").focus()
  })
  form.addEventListener("submit", () => {
    // A second press must not start a second run; a page that comes back from the cache can start again.
    const button = form.querySelector("button[type=submit]")
    setTimeout(() => { button.disabled = true }, 0)
    addEventListener("pageshow", () => { button.disabled = false }, { once: true })
  })

  const chosenModel = () => {
    const value = form.elements.model.value
    return value === "other" ? form.querySelector("[data-other-id]").value : value
  }
  splitFields()
  preview()
  // The run's page needs this at once; from here on it comes out of the browser's cache.
  fetch(form.getAttribute("data-bokeh"), { priority: "low" }).catch(() => {})
}
