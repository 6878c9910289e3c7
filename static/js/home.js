// The list of runs: filter as you type, progress as it happens, new rows when a run begins or ends.
import { showProgress } from "./format.js"
import { announce, askText } from "./http.js"
import { onSummary } from "./live.js"

const body = document.querySelector("[data-runs]")
const filter = document.querySelector("[data-filter]")
const none = document.querySelector("[data-none]")

function applyFilter() {
  const words = filter.value.toLocaleLowerCase().split(/\s+/).filter(Boolean)
  let shown = 0
  for (const row of body.rows) {
    row.hidden = !words.every((word) => row.dataset.words.includes(word))
    if (!row.hidden) shown += 1
  }
  none.hidden = shown > 0
}

let busy = false
let again = false

async function refresh() {
  if (busy) {
    again = true
    return
  }
  busy = true
  try {
    body.innerHTML = await askText(body.dataset.url)
    applyFilter()
  } catch { /* the next summary tries again */ }
  busy = false
  if (again) {
    again = false
    refresh()
  }
}

if (!body) {
  // The welcome: somebody else (another tab, a script) has started the first run.
  onSummary(({ runs }) => { if (runs.length) location.reload() })
} else {
  filter.addEventListener("input", applyFilter)
  // Moves in the queue: the list is fetched again, and the keyboard stays on the same button of the same run.
  body.addEventListener("submit", async (event) => {
    const form = event.target.closest("[data-move]")
    if (!form) return
    event.preventDefault()
    const { id, to } = { id: form.closest("tr").dataset.run, to: event.submitter.value }
    try {
      await askText(form.action, { method: "POST", body: new URLSearchParams({ to }), headers: { Accept: "application/json" } })
    } catch (error) {
      announce(error.message)
    }
    await refresh()
    const row = [...body.rows].find((one) => one.dataset.run === id)
    const again = row?.querySelector(`[data-move] [value="${to}"]`) ?? row?.querySelector("a")
    again?.focus()
    if (row) announce(row.querySelector("[data-progress-text]")?.textContent ?? "")
  })
  const workers = document.querySelector("[data-workers]")
  let sign = null
  onSummary(async ({ workers: there, counts, runs }) => {
    const now = JSON.stringify([there, counts.queued ?? 0, runs.some(({ unclaimed }) => unclaimed)])
    if (sign !== null && now !== sign) workers.innerHTML = await askText(workers.dataset.url).catch(() => workers.innerHTML)
    sign = now
  })
  filter.form.addEventListener("submit", (event) => event.preventDefault())
  applyFilter()
  onSummary(({ runs }) => {
    const active = new Map(runs.map((run) => [run.id, run]))
    let changed = false
    for (const row of body.rows) {
      const run = active.get(row.dataset.run)
      const shown = row.dataset.state
      if (run?.state === shown && shown !== "paused") showProgress(row, run, true)
      // Whether a queued one can move forward.
      if (shown === "queued" && run?.state === shown && Boolean(run.place) !== Boolean(row.querySelector("[data-move]"))) changed = true
      const wasActive = shown === "running" || shown === "queued" || shown === "paused"
      if (run ? run.state !== shown : wasActive) {
        changed = true
        if (!run) announce(`${row.querySelector("a").textContent} has ended`)
      }
      active.delete(row.dataset.run)
    }
    if (changed || active.size) refresh()
  })
}
