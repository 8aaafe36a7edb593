// The condition's help: what is clicked is written into the field; a suggestion takes its place.

const field = document.getElementById("id_condition");

function changed() {
  field.dispatchEvent(new Event("input", { bubbles: true }));
  field.focus();
}

function replace(start, end, text) {
  // A browser counts UTF-16 units, the server characters.
  const characters = Array.from(field.value);
  const before = characters.slice(0, start).join("");
  field.value = before + text + characters.slice(end).join("");
  const at = before.length + text.length;
  field.setSelectionRange(at, at);
  changed();
}

function insert(text) {
  const before = field.value.slice(0, field.selectionStart);
  const after = field.value.slice(field.selectionEnd);
  const gap = before && !/[\s([]$/.test(before) ? " " : "";
  field.value = before + gap + text + after;
  const at = before.length + gap.length + text.length;
  field.setSelectionRange(at, at);
  changed();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-replace], [data-insert], [data-replace-all]");
  if (!button || !field) return;
  const { replace: text, start, end, insert: piece, replaceAll: whole } = button.dataset;
  if (text !== undefined) replace(Number(start), Number(end), text);
  else if (piece !== undefined) insert(piece);
  else {
    field.value = whole;
    changed();
  }
});

// "Why it is off" matters only where it is.
const enabled = document.getElementById("id_enabled");
const reason = document.getElementById("id_disabled_reason")?.closest(".field");
function showReason() {
  if (enabled && reason) reason.hidden = enabled.checked;
}
enabled?.addEventListener("change", showReason);
showReason();
