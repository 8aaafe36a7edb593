// The form of a node shows the fields of the chosen kind only. Without this script it shows all.

const form = document.getElementById("node-form");

function show() {
  const kind = form.querySelector('input[name="kind"]:checked')?.value ?? "dimse";
  for (const part of form.querySelectorAll("[data-kind]")) {
    part.hidden = !part.dataset.kind.split(" ").includes(kind);
  }
  const isPlain = kind === "dimse" && !form.querySelector('input[name="tls"]').checked;
  form.querySelector("[data-tls]").hidden = isPlain;
}

form.addEventListener("change", show);
show();
