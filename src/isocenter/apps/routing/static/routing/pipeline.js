// After a step was added or moved, the focus is where the person goes on.

document.addEventListener("htmx:afterSettle", () => {
  const editor = document.getElementById("editor");
  const wanted = editor?.dataset.focus;
  if (!wanted) return;
  let element = document.getElementById(wanted);
  if (element?.disabled) {
    element = element.id.startsWith("up-")
      ? document.getElementById(element.id.replace("up-", "down-"))
      : document.getElementById(element.id.replace("down-", "up-"));
  }
  element?.focus();
  editor.dataset.focus = "";
});
