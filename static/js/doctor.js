// The doctor's part of a data set's page: its links and searches fetch the part alone; looks again while it is examined.
import { announce, askText } from "./http.js"

const place = document.querySelector("[data-doctor]")
let asked = 0

// The part answers at its own address to what the page answers to at its.
const partOf = (address) => {
  const url = new URL(address, location.href)
  return `${place.dataset.doctor}${url.search}`
}

async function show(address, focus) {
  const mine = ++asked
  let part
  try {
    part = await askText(partOf(address))
  } catch (error) {
    return announce(error.message)
  }
  if (mine !== asked) return
  const examining = place.querySelector("[data-examining]")
  place.innerHTML = part
  if (focus) document.getElementById(focus)?.focus({ preventScroll: true })
  if (examining && !place.querySelector("[data-examining]")) announce("The data is examined.")
  watch()
}

function watch() {
  if (place.querySelector("[data-examining]")) setTimeout(() => show(location.href), document.hidden ? 5000 : 700)
}

const go = (address, focus) => {
  history.replaceState(null, "", address)
  show(address, focus)
}

if (place) {
  place.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-part]")
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return
    event.preventDefault()
    const card = link.closest(".finding")?.id.replace("finding-", "")
    const opens = new URL(link.href).searchParams.get("finding")
    go(link.href, opens ? `search-${opens}` : `link-${card}`)
  })
  place.addEventListener("submit", (event) => {
    const form = event.target.closest("form[data-part]")
    if (!form) {
      // One click is one step, however often it is pressed. Later: a button that is disabled now would not be sent.
      setTimeout(() => {
        for (const button of event.target.querySelectorAll("button")) button.disabled = true
        // A fix of a million rows takes seconds.
        if (event.submitter?.name === "fix") event.submitter.textContent = "Working …"
        announce("Working …")
      })
      return
    }
    event.preventDefault()
    const query = new URLSearchParams(new FormData(form))
    go(`${location.pathname}?${query}#doctor`, `search-${query.get("finding")}`)
  })
  // Back from another page: the browser shows it as it was left, with the buttons pressed.
  addEventListener("pageshow", ({ persisted }) => { if (persisted) show(location.href) })
  watch()
}
