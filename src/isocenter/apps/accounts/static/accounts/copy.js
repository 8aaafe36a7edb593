// Copies a value that is shown once. Without https there is no clipboard API: then it is selected.
for (const button of document.querySelectorAll("[data-copy]")) {
  const field = document.querySelector(button.dataset.copy);
  const text = button.querySelector("[data-copy-text]");
  button.addEventListener("click", async () => {
    field.focus();
    field.select();
    let done = false;
    try {
      await navigator.clipboard.writeText(field.value);
      done = true;
    } catch {
      done = document.execCommand("copy");
    }
    text.textContent = done ? "Copied" : "Selected";
  });
}
