// Links to sections become tabs: one section at a time, arrow keys, the address keeps the choice.
export function setUpTabs(nav) {
  const links = [...nav.querySelectorAll("a")]
  const section = (link) => document.querySelector(link.hash)
  let chosenByHand = false
  nav.setAttribute("role", "tablist")

  const select = (link) => {
    for (const one of links) {
      const selected = one === link
      one.setAttribute("aria-selected", String(selected))
      one.tabIndex = selected ? 0 : -1
      section(one).hidden = !selected
    }
  }
  const byHash = () => links.find((link) => link.hash === location.hash)

  for (const link of links) {
    link.setAttribute("role", "tab")
    link.setAttribute("aria-controls", link.hash.slice(1))
    section(link).setAttribute("role", "tabpanel")
    section(link).setAttribute("aria-label", link.textContent)
    link.addEventListener("click", (event) => {
      event.preventDefault()
      chosenByHand = true
      history.replaceState(null, "", link.hash)
      select(link)
    })
  }
  nav.addEventListener("keydown", (event) => {
    const { key } = event
    const here = links.indexOf(document.activeElement)
    const place = { ArrowRight: here + 1, ArrowLeft: here - 1, Home: 0, End: -1 }[key]
    if (place === undefined) return
    event.preventDefault()
    const next = links[(place + links.length) % links.length]
    next.focus()
    next.click()
  })
  // Links elsewhere on the page that name a section, as "look at the log".
  document.addEventListener("click", (event) => {
    const link = event.target.closest("main a[href^='#']")
    const tab = link && links.find((one) => one.hash === link.hash)
    if (!tab || tab === link) return
    event.preventDefault()
    tab.click()
    tab.scrollIntoView({ block: "nearest" })
  })
  chosenByHand = Boolean(byHash())
  select(byHash() ?? links.find((link) => link.hash === `#${nav.dataset.first}`) ?? links[0])
  return { suggest: (hash) => { if (!chosenByHand) select(links.find((link) => link.hash === hash)) } }
}
