// fetch with our error JSON turned into an Error that carries the sentence and the problems.
export async function ask(address, options = {}) {
  let response
  try {
    response = await fetch(address, options)
  } catch (error) {
    if (error.name === "AbortError") throw error
    throw new Error("Headstart does not answer. Is it still running?")
  }
  if (response.ok) return response
  const told = await response.json().catch(() => null)
  const error = new Error(told?.error?.message ?? `The server answered ${response.status}.`)
  error.problems = told?.error?.problems ?? []
  error.status = response.status
  throw error
}

export const askJson = async (address, options) => (await ask(address, options)).json()
export const askText = async (address, options) => (await ask(address, options)).text()

export function announce(text) {
  const place = document.querySelector("[data-announce]")
  if (place) place.textContent = text
}

export function later(milliseconds, work) {
  let timer
  return (...values) => {
    clearTimeout(timer)
    timer = setTimeout(() => work(...values), milliseconds)
  }
}
