// The page of a data set: how reading goes, and the bars of another label column.
import { askJson, askText } from "./http.js"

const head = document.querySelector("[data-dataset]")
const reading = document.querySelector("[data-reading]")

if (reading) {
  const look = async () => {
    try {
      const view = await askJson(`/api/datasets/${head.dataset.dataset}`)
      reading.value = view.bytes_read
      if (view.state !== "reading") return location.reload()
    } catch { /* asked again below */ }
    setTimeout(look, document.hidden ? 5000 : 700)
  }
  look()
}

const form = document.querySelector("#columns")
if (form) {
  const mark = () => {
    const chosen = { [form.elements.text.value]: "text", [form.elements.label.value]: "label" }
    const heads = [...document.querySelectorAll("th[data-column]")]
    for (const [place, cell] of heads.entries()) {
      const role = chosen[cell.dataset.column]
      cell.querySelector(".tag")?.remove()
      if (role) {
        const tag = document.createElement("span")
        tag.className = "tag"
        tag.textContent = role
        cell.append(" ", tag)
      }
      for (const row of cell.closest("table").rows) row.cells[place + 1].classList.toggle("chosen", Boolean(role))
    }
  }
  form.addEventListener("change", async ({ target }) => {
    mark()
    if (target.name !== "label") return
    const query = new URLSearchParams({ label: target.value })
    document.querySelector("[data-bars]").innerHTML = await askText(`${form.getAttribute("data-labels")}?${query}`)
  })
}
