// Predict a whole file: the raw file by PUT with progress; then the section follows the rows that are done.
import { announce, ask, askText } from "./http.js"
import { size } from "./format.js"

const FOLLOW_MS = 700

export function setUpFiles(root) {
  let following = null

  const section = () => root.querySelector("[data-files]")

  async function refresh() {
    const place = section()
    if (!place) return
    // What is being typed or chosen must not vanish under the user's hands.
    const busy = place.querySelector("[data-sending]:not([hidden])") || (place.contains(document.activeElement) && document.activeElement.matches("input"))
    const html = await askText(place.dataset.files).catch(() => null)
    if (html !== null && !busy) {
      const focused = document.activeElement?.closest("[data-files] li")?.id
      const fresh = new DOMParser().parseFromString(html, "text/html").querySelector("[data-files]")
      if (fresh) {
        const chosen = place.querySelector("input[type=file]")
        if (chosen?.files.length) fresh.querySelector("input[type=file]").files = chosen.files
        place.replaceWith(fresh)
      }
      if (focused) document.getElementById(focused)?.querySelector("button, a")?.focus()
    }
    follow()
  }

  function follow() {
    clearTimeout(following)
    if (section()?.hasAttribute("data-files-live") && !document.hidden) following = setTimeout(refresh, FOLLOW_MS)
  }

  document.addEventListener("visibilitychange", follow)
  root.addEventListener("submit", (event) => {
    const form = event.target
    if (form.matches("[data-predict-file]")) {
      event.preventDefault()
      send(form)
    } else if (form.matches("[data-file-move]")) {
      event.preventDefault()
      moveFile(form)
    }
  })

  async function moveFile(form) {
    let told = ""
    try {
      await ask(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) })
    } catch (error) {
      told = error.message
    }
    document.activeElement?.blur()
    await refresh()
    section().querySelector("[data-file-problem]").textContent = told // refresh made a new section
  }

  function send(form) {
    const file = form.elements.file.files[0]
    const problem = form.querySelector("[data-file-problem]")
    const sending = form.querySelector("[data-sending]")
    problem.textContent = ""
    if (!file) return
    const query = new URLSearchParams({ name: file.name })
    for (const field of form.querySelectorAll("[name^=column_]")) {
      if (field.value.trim()) query.set(field.name.slice("column_".length), field.value.trim())
    }
    const request = new XMLHttpRequest()
    const fail = (message) => {
      sending.hidden = true
      problem.textContent = message
    }
    request.open("PUT", `${form.dataset.predictFile}?${query}`)
    request.upload.addEventListener("progress", ({ loaded, total }) => {
      sending.querySelector("progress").value = loaded / total
      sending.querySelector("[data-sending-text]").textContent = `${size(loaded)} of ${size(total)}`
    })
    request.addEventListener("load", () => {
      sending.hidden = true
      if (request.status === 201) {
        announce(`${file.name} is uploaded`)
        form.reset()
        document.activeElement?.blur()
        refresh()
      } else {
        let told = null
        try {
          told = JSON.parse(request.responseText)
        } catch { /* not our answer */ }
        fail(told?.error?.message ?? `The server answered ${request.status}.`)
      }
    })
    request.addEventListener("error", () => fail("The upload broke off. Is Headstart still running? Try again."))
    sending.hidden = false
    request.send(file)
  }

  follow()
}
