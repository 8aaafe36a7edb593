// Ticks: all at once, how many there are, buttons only where there is something to do.
// While something is ticked, the list is not refreshed.

const list = document.getElementById("quarantine");
const boxes = () => [...document.querySelectorAll('#quarantine input[name="item"]')];

function show() {
  const ticked = boxes().filter((box) => box.checked).length;
  const all = document.getElementById("tick-all");
  if (all) {
    all.checked = ticked > 0 && ticked === boxes().length;
    all.indeterminate = ticked > 0 && ticked < boxes().length;
  }
  const text = document.getElementById("ticked");
  if (text) text.textContent = ticked ? `${ticked} ticked` : "";
  for (const button of document.querySelectorAll("[data-bulk]")) button.disabled = ticked === 0;
}

document.addEventListener("change", (event) => {
  if (event.target.id === "tick-all") {
    for (const box of boxes()) box.checked = event.target.checked;
  }
  if (event.target.closest("#quarantine")) show();
});
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt === list && boxes().some((box) => box.checked)) event.preventDefault();
});
document.addEventListener("htmx:afterSettle", show);
show();
