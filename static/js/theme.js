// Before anything is painted: the theme that was chosen, and a sign that scripts run. The only script that is no module.
(() => {
  const root = document.documentElement
  root.classList.add("scripted")
  try {
    const chosen = localStorage.getItem("theme")
    if (chosen) root.dataset.theme = chosen
  } catch { /* storage may be forbidden: the system's theme then */ }
})()
