// What every page does: theme switch, times, questions before an act, parts that refresh themselves.

const token = document.querySelector('meta[name="csrf-token"]')?.content ?? "";

// Theme -------------------------------------------------------------------------------------
function markTheme() {
  const chosen = document.documentElement.dataset.themeChoice;
  for (const button of document.querySelectorAll("[data-theme-choice]")) {
    if (button === document.documentElement) continue;
    button.classList.toggle("active", button.dataset.themeChoice === chosen);
    button.setAttribute("aria-pressed", String(button.dataset.themeChoice === chosen));
  }
}
document.addEventListener("click", (event) => {
  const button = event.target.closest("button[data-theme-choice]");
  if (!button) return;
  window.isocenterTheme(button.dataset.themeChoice);
  markTheme();
});

// Times: the server says "3 min ago", here it is kept true; the title is in the reader's zone. ---
function ago(moment) {
  const seconds = (Date.now() - moment.getTime()) / 1000;
  const far = Math.abs(seconds);
  if (far < 5) return "now";
  if (far >= 30 * 86400) return null;
  const [length, unit] =
    far < 60 ? [1, "s"] : far < 3600 ? [60, "min"] : far < 86400 ? [3600, "h"] : [86400, "d"];
  const text = `${Math.floor(far / length)} ${unit}`;
  return seconds > 0 ? `${text} ago` : `in ${text}`;
}
function tellTimes(root) {
  for (const element of root.querySelectorAll("time[datetime]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    const text = ago(moment);
    if (text !== null && element.textContent !== text) element.textContent = text;
    const title = moment.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "medium" });
    if (element.title !== title) element.title = title;
  }
}

// Questions: a form with data-confirm, or an element with hx-confirm. ------------------------
const dialog = document.getElementById("confirm");
function ask(text, act) {
  dialog.querySelector("#confirm-text").textContent = text;
  dialog.querySelector("#confirm-yes").textContent = act || "Yes";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    // The event of an earlier question's close may come late: this one is still open then.
    const answered = () => {
      if (dialog.open) return;
      dialog.removeEventListener("close", answered);
      resolve(dialog.returnValue === "yes");
    };
    dialog.addEventListener("close", answered);
  });
}
document.addEventListener("submit", async (event) => {
  const form = event.target;
  const button = event.submitter;
  const text = button?.dataset.confirm ?? form.dataset.confirm;
  if (!text || form.dataset.confirmed) return;
  event.preventDefault();
  event.stopPropagation();
  if (!(await ask(text, button?.dataset.confirmAct ?? form.dataset.confirmAct))) return;
  form.dataset.confirmed = "yes";
  form.requestSubmit(button ?? undefined);
  delete form.dataset.confirmed;
}, true);
document.addEventListener("htmx:confirm", async (event) => {
  if (!event.detail.question) return;
  event.preventDefault();
  if (await ask(event.detail.question)) event.detail.issueRequest(true);
});

// A form is sent once, however often its button is pressed. -----------------------------------
document.addEventListener("submit", (event) => {
  if (event.defaultPrevented || event.target.method !== "post") return;
  if (event.target.dataset.sent) {
    event.preventDefault();
    return;
  }
  if (event.target.hasAttribute("hx-post") || event.target.target === "_blank") return;
  event.target.dataset.sent = "yes";
  setTimeout(() => delete event.target.dataset.sent, 5000);
});
window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
});

// Parts that refresh themselves ---------------------------------------------------------------
const polls = (event) => event.detail.requestConfig?.triggeringEvent === undefined
  && event.detail.elt.getAttribute("hx-trigger")?.includes("every");
function isBusy(element) {
  const focused = document.activeElement;
  return (
    (element.contains(focused) && focused.matches("input, select, textarea"))
    || element.querySelector(".dropdown-menu.show, dialog[open]") !== null
  );
}
document.addEventListener("htmx:beforeRequest", (event) => {
  if (polls(event) && (document.hidden || dialog.open || isBusy(event.detail.elt))) {
    event.preventDefault();
  }
});
// What was asked for before the question or the menu opened must not take its form away.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (polls(event) && (dialog.open || isBusy(event.detail.elt))) event.detail.shouldSwap = false;
});
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.verb !== "get") event.detail.headers["X-CSRFToken"] = token;
});
let heard = new Date();
const connection = document.getElementById("connection");
function lost() {
  document.getElementById("connection-since").textContent = heard.toLocaleTimeString();
  connection.hidden = false;
}
document.addEventListener("htmx:sendError", lost);
document.addEventListener("htmx:responseError", (event) => {
  if (event.detail.xhr.status >= 500) lost();
});
document.addEventListener("htmx:afterOnLoad", () => {
  heard = new Date();
  connection.hidden = true;
});
document.addEventListener("htmx:afterSwap", (event) => tellTimes(event.detail.target));
document.addEventListener("htmx:load", (event) => tellTimes(event.detail.elt));

// A table that has to be scrolled sideways can be, by keyboard too. ----------------------------
function reach(root) {
  for (const box of root.querySelectorAll(".table-responsive")) {
    const scrolls = box.scrollWidth > box.clientWidth;
    if (scrolls && !box.querySelector("a, button, input")) {
      const title = box.closest(".card")?.querySelector(".card-title")?.textContent.trim();
      box.tabIndex = 0;
      box.setAttribute("role", "region");
      box.setAttribute("aria-label", title || "Table");
    } else if (box.getAttribute("role") === "region") {
      for (const name of ["tabindex", "role", "aria-label"]) box.removeAttribute(name);
    }
  }
}
document.addEventListener("htmx:load", (event) => reach(event.detail.elt));
window.addEventListener("resize", () => reach(document));

// Choices that act at once: <select data-submit>. ---------------------------------------------
document.addEventListener("change", (event) => {
  if (event.target.matches("[data-submit]")) event.target.form.requestSubmit();
});

markTheme();
tellTimes(document);
reach(document);
setInterval(() => tellTimes(document), 10_000);
