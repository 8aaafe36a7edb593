// A run while it happens: the log stays at its end, what was opened stays open.

const open = new Set();
let wasAtEnd = true;

function atEnd(log) {
  return log.scrollHeight - log.scrollTop - log.clientHeight < 24;
}

function toEnd() {
  const log = document.querySelector("pre.log");
  if (log) log.scrollTop = log.scrollHeight;
}

document.addEventListener("htmx:beforeSwap", (event) => {
  const log = event.detail.target.id === "log" ? event.detail.target.querySelector("pre.log") : null;
  if (log) wasAtEnd = atEnd(log);
  open.clear();
  for (const part of document.querySelectorAll("#step-panel details[open], #live details[open], #live-results details[open]")) {
    open.add(part.id || part.className);
  }
});

document.addEventListener("htmx:afterSettle", (event) => {
  for (const part of document.querySelectorAll("#step-panel details, #live details")) {
    if (open.has(part.id || part.className)) part.open = true;
  }
  if (event.detail.elt?.closest?.("#log, #step-panel") && wasAtEnd) toEnd();
  if (event.detail.target?.id === "step-panel") {
    toEnd();
    event.detail.target.scrollIntoView({ block: "nearest" });
  }
});

toEnd();
