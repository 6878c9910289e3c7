// The drop zone: the raw file by PUT, with progress and cancel. Without this script the form sends itself.
import { announce } from "./http.js"
import { size } from "./format.js"

for (const zone of document.querySelectorAll("[data-upload]")) setUp(zone)

function setUp(zone) {
  const input = zone.querySelector("input[type=file]")
  const progress = zone.querySelector("[data-progress]")
  const bar = progress.querySelector("progress")
  const text = zone.querySelector("[data-progress-text]")
  const problem = zone.querySelector("[data-upload-problem]")
  const cancel = zone.querySelector("[data-upload-cancel]")
  let sending = null

  const fail = (message) => {
    progress.hidden = true
    sending = null
    input.value = ""
    problem.textContent = message
  }

  const send = (file) => {
    if (!file || sending) return
    problem.textContent = ""
    if (file.size === 0) return fail(`${file.name} is empty: choose a file with rows.`)
    // Asked before sending: a browser that is refused in mid-upload shows a broken connection, not the reason.
    if (2 * file.size > Number(zone.dataset.free)) {
      return fail(`Too little disk for ${file.name} (${size(file.size)}). Free some space and try again.`)
    }
    sending = new XMLHttpRequest()
    sending.open("PUT", `${zone.dataset.upload}?name=${encodeURIComponent(file.name)}`)
    sending.upload.addEventListener("progress", ({ loaded, total }) => {
      bar.value = loaded / total
      text.textContent = loaded < total ? `${size(loaded)} of ${size(total)}` : "reading the rows …"
    })
    sending.addEventListener("load", () => {
      const told = safeJson(sending.responseText)
      if (sending.status === 201) {
        announce("uploaded")
        location.href = `/data/${told.id}`
      } else fail(told?.error?.message ?? `The server answered ${sending.status}.`)
    })
    sending.addEventListener("error", () => fail("The upload broke off. Is Headstart still running? Try again."))
    sending.addEventListener("abort", () => fail("Cancelled; nothing was kept."))
    bar.value = 0
    text.textContent = file.name
    progress.hidden = false
    announce(`uploading ${file.name}`)
    sending.send(file)
    cancel.focus()
  }

  input.addEventListener("change", () => send(input.files[0]))
  cancel.addEventListener("click", () => sending?.abort())
  zone.addEventListener("submit", (event) => {
    if (event.submitter?.matches("[data-sample]")) return
    event.preventDefault()
    if (input.files.length) send(input.files[0])
    else input.click() // Enter on the file field submits the form; only Space opens the choice by itself
  })
  let depth = 0 // dragenter and dragleave also come from the children
  const carriesFile = (event) => event.dataTransfer?.types.includes("Files")
  zone.addEventListener("dragenter", (event) => {
    if (!carriesFile(event)) return
    depth += 1
    zone.classList.add("over")
  })
  zone.addEventListener("dragleave", () => {
    depth = Math.max(0, depth - 1)
    if (!depth) zone.classList.remove("over")
  })
  // Over the whole page: a file dropped beside the zone must not replace the page.
  addEventListener("dragover", (event) => carriesFile(event) && event.preventDefault())
  addEventListener("drop", (event) => {
    if (!carriesFile(event)) return
    event.preventDefault()
    depth = 0
    zone.classList.remove("over")
    const { files } = event.dataTransfer
    if (files.length > 1) return fail("One file at a time, please.")
    send(files[0])
  })
}

function safeJson(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
