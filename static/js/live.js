// One event stream for all tabs of this browser: it opens at most six connections to a host.
//
// Each visible tab says what it wants. One of them, whoever holds the lock "headstart-live", has the stream of
// the union and passes on what comes. A tab that is hidden wants nothing and gives up the lock; when it is seen again
// it catches up by a snapshot. Every tab drops what it has already (seq), so events may come twice but never get lost.
// Without Web Locks a tab asks every two seconds.
import { askJson } from "./http.js"

const me = Math.random().toString(36).slice(2)
const channel = "BroadcastChannel" in window ? new BroadcastChannel("headstart-live") : null
const shared = channel !== null && "locks" in navigator
const watched = new Map() // run → {seq, onEvent, catchUp}
const listeners = new Set() // of the summary
let seen = false // this tab is visible and takes part

export function onSummary(listener) {
  listeners.add(listener)
}

// Follows a run behind `seq`. `catchUp` fetches a snapshot and resolves to its seq.
export function watch(run, seq, onEvent, catchUp) {
  watched.set(run, { seq, onEvent, catchUp })
  if (seen) announceWants()
}

export function unwatch(run) {
  if (watched.delete(run) && seen) announceWants()
}

function deliver(message) {
  if (message.kind === "summary") {
    for (const listener of listeners) listener(message.summary)
  } else if (message.kind === "connection") {
    showConnection(message.open)
  } else {
    const one = watched.get(message.event.run)
    if (one && message.event.seq > one.seq) {
      one.seq = message.event.seq
      one.onEvent(message.event)
    }
  }
}

function showConnection(open) {
  const sign = document.querySelector("[data-connection]")
  if (sign) sign.hidden = open
}

const wants = () => Object.fromEntries([...watched].map(([run, { seq }]) => [run, seq]))

function tell(message) {
  channel.postMessage(message)
  heard(message)
}

function announceWants() {
  if (shared) tell({ kind: "want", tab: me, runs: wants() })
}

// ---- the leader ----
let leader = null

class Leader {
  constructor() {
    this.tabs = new Map() // tab → {runs: Set, at}
    this.positions = new Map() // run → last seq that came
    this.summary = null
    this.source = null
    this.retries = 0
  }

  want({ tab, runs }) {
    const asked = Object.entries(runs)
    let reopen = !this.source
    for (const [run, seq] of asked) {
      if (!this.positions.has(run) || seq < this.positions.get(run)) {
        this.positions.set(run, seq)
        reopen = true
      }
    }
    this.tabs.set(tab, { runs: new Set(Object.keys(runs)), at: Date.now() })
    if (this.forget() || reopen) this.reopen()
    if (this.summary) tell({ kind: "summary", summary: this.summary })
  }

  leave(tab) {
    this.tabs.delete(tab)
    if (this.forget()) this.reopen()
  }

  // Drops tabs that went away without a word, and runs that nobody wants; true if there were any.
  forget() {
    const old = Date.now() - 90_000
    for (const [tab, { at }] of this.tabs) if (at < old) this.tabs.delete(tab)
    const wanted = new Set([...this.tabs.values()].flatMap(({ runs }) => [...runs]))
    const gone = [...this.positions.keys()].filter((run) => !wanted.has(run))
    for (const run of gone) this.positions.delete(run)
    return gone.length > 0
  }

  // A moment later, so that several tabs that ask at once get one stream.
  reopen(delay = 30) {
    clearTimeout(this.timer)
    this.timer = setTimeout(() => this.open(), delay)
  }

  open() {
    this.source?.close()
    const list = [...this.positions].map(([run, seq]) => `${run}:${seq}`).join(",")
    const source = this.source = new EventSource(`/live?watch=${list}`)
    source.addEventListener("open", () => {
      this.retries = 0
      tell({ kind: "connection", open: true })
    })
    source.addEventListener("run", ({ data }) => {
      const event = JSON.parse(data)
      this.positions.set(event.run, event.seq)
      tell({ kind: "event", event })
    })
    source.addEventListener("summary", ({ data }) => {
      this.summary = JSON.parse(data)
      tell({ kind: "summary", summary: this.summary })
    })
    source.addEventListener("error", () => {
      // Our own way of coming back: the address has to carry the newest positions.
      source.close()
      if (source !== this.source) return
      if (++this.retries > 1) tell({ kind: "connection", open: false })
      this.reopen(Math.min(8000, 250 * 2 ** this.retries) * (0.7 + 0.6 * Math.random()))
    })
  }

  close() {
    clearTimeout(this.timer)
    this.source?.close()
    this.source = null
  }
}

function heard(message) {
  if (message.kind === "hello") {
    if (seen && message.tab !== me) announceWants()
  } else if (message.kind === "want") {
    leader?.want(message)
  } else if (message.kind === "bye") {
    leader?.leave(message.tab)
  } else if (message.kind === "alive") {
    const tab = leader?.tabs.get(message.tab)
    if (tab) tab.at = Date.now()
    else if (leader) channel.postMessage({ kind: "hello", tab: me })
  } else if (seen) {
    deliver(message)
  }
}

let abort = null
let release = null

function lead() {
  abort = new AbortController()
  navigator.locks.request("headstart-live", { signal: abort.signal }, () => new Promise((done) => {
    if (!seen) return done()
    release = done
    leader = new Leader()
    channel.postMessage({ kind: "hello", tab: me })
    announceWants()
  })).catch(() => { /* aborted: hidden before it was our turn */ })
}

// ---- without locks: asking ----
let timer = null

async function poll() {
  try {
    const list = Object.entries(wants()).map(([run, seq]) => `${run}:${seq}`).join(",")
    const { events, summary } = await askJson(`/live/poll?watch=${list}`)
    for (const event of events) deliver({ kind: "event", event })
    deliver({ kind: "summary", summary })
    showConnection(true)
  } catch {
    showConnection(false)
  }
  if (seen) timer = setTimeout(poll, 2000)
}

// ---- coming and going ----
async function show(first) {
  if (seen) return
  seen = true
  if (!first) {
    await Promise.all([...watched.values()].map(async (one) => {
      one.seq = await one.catchUp().catch(() => one.seq)
    }))
    if (!seen) return
  }
  if (!shared) return poll()
  announceWants()
  lead()
}

function hide() {
  if (!seen) return
  seen = false
  clearTimeout(timer)
  if (!shared) return
  leader?.close()
  leader = null
  abort?.abort()
  release?.()
  release = null
  channel.postMessage({ kind: "bye", tab: me })
}

if (channel) channel.onmessage = ({ data }) => heard(data)
document.addEventListener("visibilitychange", () => document.hidden ? hide() : show(false))
addEventListener("pagehide", hide)
addEventListener("pageshow", ({ persisted }) => { if (persisted && !document.hidden) show(false) })
setInterval(() => { if (seen && shared) tell({ kind: "alive", tab: me }) }, 30_000)
// After the page's modules have said what they want.
if (!document.hidden) setTimeout(() => { if (!document.hidden) show(true) }, 0)
