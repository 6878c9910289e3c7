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

  // One file, or train, validation and test as one data set.
  const send = (files) => {
    if (!files.length || sending) return
    problem.textContent = ""
    const empty = files.find((file) => file.size === 0)
    if (empty) return fail(`${empty.name} is empty: choose a file with rows.`)
    if (files.length > 3) return fail(`${files.length} files are too many: one at a time, or train, validation and test together.`)
    const names = files.map((file) => file.name).join(" + ")
    const bytes = files.reduce((sum, file) => sum + file.size, 0)
    // Asked before sending: a browser that is refused in mid-upload shows a broken connection, not the reason.
    if (2 * bytes > Number(zone.dataset.free)) {
      return fail(`Too little disk for ${names} (${size(bytes)}). Free some space and try again.`)
    }
    let body = files[0]
    sending = new XMLHttpRequest()
    if (files.length === 1) sending.open("PUT", `${zone.dataset.upload}?name=${encodeURIComponent(names)}`)
    else {
      sending.open("POST", `${zone.dataset.upload}/files`)
      body = new FormData()
      for (const file of files) body.append("file", file)
    }
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
    text.textContent = names
    progress.hidden = false
    announce(`uploading ${names}`)
    sending.send(body)
    cancel.focus()
  }

  input.addEventListener("change", () => send([...input.files]))
  cancel.addEventListener("click", () => sending?.abort())
  zone.addEventListener("submit", (event) => {
    if (event.submitter?.matches("[data-sample]")) return
    event.preventDefault()
    if (input.files.length) send([...input.files])
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
    send([...event.dataTransfer.files])
  })
}

function safeJson(text) {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
