// The slider between the head-only and the fine-tuned model and the list beside it say the same.
export function setUpLine(root) {
  root.addEventListener("input", ({ target }) => {
    const panel = target.closest("[data-line]")
    if (!panel) return
    const slider = panel.querySelector("[data-line-slider]")
    const list = panel.querySelector("select")
    if (target === slider) list.selectedIndex = slider.valueAsNumber
    else slider.value = list.selectedIndex
    slider.setAttribute("aria-valuetext", list.selectedOptions[0].textContent)
  })
}
