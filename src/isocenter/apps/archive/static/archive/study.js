// The study page: a filter over the cards of series, which outlasts their refresh.

const box = document.getElementById("series-filter");
const shown = document.getElementById("series-shown");

function filter() {
  const grid = document.getElementById("series-grid");
  if (!box || !grid) return;
  const words = box.value.toLowerCase().split(/\s+/).filter(Boolean);
  let count = 0;
  for (const card of grid.children) {
    const text = card.dataset.words.toLowerCase();
    const fits = words.every((word) => text.includes(word));
    card.hidden = !fits;
    if (fits) count += 1;
  }
  document.getElementById("series-none").hidden = count > 0;
  shown.textContent = words.length ? `${count} of ${grid.children.length}` : `${grid.children.length}`;
}

if (box) {
  box.addEventListener("input", filter);
  filter();
}

// A refreshed part is put in place of the old one: keep where the reader was in it.
let place = 0;
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  if (event.detail.target?.id === "part-series") {
    place = document.getElementById("series-grid")?.scrollTop ?? 0;
  }
});
document.addEventListener("htmx:oobAfterSwap", (event) => {
  if (event.detail.target?.id !== "part-series") return;
  filter();
  const grid = document.getElementById("series-grid");
  if (grid) grid.scrollTop = place;
});
