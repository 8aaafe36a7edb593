// The form of a project: what a choice does not use is out of the way, a mistake is one click away
// from its line, and what is asked about an attribute is answered anew when the policy changes.

const form = document.getElementById("project-form");

function show() {
  for (const part of form.querySelectorAll("[data-with]")) {
    const [name, wanted] = part.dataset.with.split("=");
    part.hidden = form.querySelector(`input[name="${name}"]:checked`)?.value !== wanted;
  }
}

function toLine(field, number) {
  const lines = field.value.split("\n");
  const start = lines.slice(0, number - 1).reduce((sum, line) => sum + line.length + 1, 0);
  field.closest("details").open = true;
  field.focus();
  field.setSelectionRange(start, start + (lines[number - 1] ?? "").length);
  const height = parseFloat(getComputedStyle(field).lineHeight) || 18;
  field.scrollTop = Math.max(0, (number - 3) * height);
}

form.addEventListener("change", show);
document.addEventListener("click", (event) => {
  const line = event.target.closest("[data-line]");
  if (line) toLine(document.querySelector(line.dataset.of), Number(line.dataset.line));
  const ask = event.target.closest("[data-ask]");
  if (ask) {
    const field = document.getElementById("ask");
    field.value = ask.dataset.ask;
    field.dispatchEvent(new Event("input", { bubbles: true }));
    field.focus();
  }
  const link = event.target.closest('#meaning a[href^="#"]');
  const place = link && document.querySelector(link.getAttribute("href"))?.closest("details");
  if (place) place.open = true;
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target.id !== "meaning") return;
  if (document.getElementById("ask").value) document.body.dispatchEvent(new Event("project-meant"));
});
// A browser that goes back keeps what was chosen.
window.addEventListener("pageshow", show);
show();
