// Numbers as the server writes them (app/web/render.py).
export const count = (value) => Math.round(value).toLocaleString("en-US")

export function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds))
  if (whole < 60) return `${whole} s`
  if (whole < 600) return whole % 60 ? `${Math.floor(whole / 60)} min ${whole % 60} s` : `${whole / 60} min`
  if (whole < 3600) return `${Math.round(whole / 60)} min`
  const minutes = Math.round(whole / 60)
  if (whole < 86400) return minutes % 60 ? `${Math.floor(minutes / 60)} h ${minutes % 60} min` : `${minutes / 60} h`
  const hours = Math.round(whole / 3600)
  return hours % 24 ? `${Math.floor(hours / 24)} d ${hours % 24} h` : `${hours / 24} d`
}

export function ordinal(value) {
  const ending = value % 100 >= 10 && value % 100 <= 20 ? "th" : ["th", "st", "nd", "rd"][value % 10] ?? "th"
  return `${count(value)}${ending}`
}

export const rate = (value) => value >= 10 ? count(value) : value.toFixed(1)

export function size(bytes) {
  return bytes >= 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GB`
    : bytes >= 2 ** 20 ? `${Math.round(bytes / 2 ** 20)} MB` : `${Math.ceil(bytes / 1024)} kB`
}

// What stands beside the progress bar of a run that is not over. `brief`: in the list.
export function progressText(run, brief = false) {
  if (run.state === "queued") {
    if (run.cancel_requested) return "stopping …"
    if (!run.place) return run.unclaimed ? "waits for a worker" : brief ? "next" : "next in the queue"
    return `${ordinal(run.place + 1)} in the queue${brief ? "" : `, behind ${run.behind}`}`
  }
  if (run.stalled) return "the worker does not answer"
  if (run.cancel_requested) return "stopping …"
  if (run.state === "paused") return run.checkpoint_step ? `paused at step ${count(run.checkpoint_step)} of ${count(run.steps)}` : "paused before its first step"
  if (run.pause_requested) return "pausing …"
  if (run.phase && run.phase !== "training") return `${run.phase} …`
  const parts = [`step ${count(run.step)} of ${count(run.steps)}`]
  if (!brief && run.examples_per_second) parts.push(`${rate(run.examples_per_second)} examples/s`)
  if (run.eta_seconds !== null) parts.push(`${duration(run.eta_seconds)} left`)
  return parts.join(" · ")
}

export function showProgress(root, run, brief = false) {
  const bar = root.querySelector("[data-bar]")
  const text = root.querySelector("[data-progress-text]")
  if (bar) {
    bar.max = run.steps || 1
    bar.value = run.step
  }
  if (text) text.textContent = progressText(run, brief)
}
