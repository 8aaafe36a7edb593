// The uploads page: a queue of files, three requests at once, and what came of each.

import { dropped, walk } from "./file-walk.js";

const AT_ONCE = 3;
const SHOWN_PROBLEMS = 500;
const ASK_STUDIES_EVERY_MS = 2000;
const PAUSE_MS = 10_000;
const TRIES = 3;

const root = document.getElementById("uploader");
const token = document.querySelector('meta[name="csrf-token"]').content;
const byId = (id) => document.getElementById(id);
const maxBytes = Number(root.dataset.maxBytes);

const queue = [];
let first = 0; // of the queue; what lies before it is done with
const active = new Map(); // job → its line
const counts = { accepted: 0, skipped: 0, failed: 0 };
const studies = new Map(); // UID → {uploaded, known}
const failed = [];
let problems = 0;
let walking = 0;
let totalBytes = 0;
let doneBytes = 0;
let startedAt = 0;
let isCancelled = false;
let needsDrawing = false;

// In ----------------------------------------------------------------------------------------
async function add(entries) {
  if (!isBusy()) restart();
  isCancelled = false;
  walking += 1;
  draw();
  try {
    for await (const { file, path } of walk(entries, (name, reason) => problem(name, reason, "failed"))) {
      if (isCancelled) break;
      enqueue({ file, path, tries: 0, sent: 0 });
    }
  } finally {
    walking -= 1;
    draw();
  }
}

function enqueue(job) {
  if (job.file.size > maxBytes) {
    problem(job.path, "larger than what can be uploaded; use isocenter import", "failed");
    return;
  }
  if (job.file.size === 0) {
    problem(job.path, "an empty file", "skipped");
    return;
  }
  queue.push(job);
  totalBytes += job.file.size;
  next();
  draw();
}

function restart() {
  queue.length = 0;
  first = 0;
  totalBytes = doneBytes = 0;
  startedAt = performance.now();
}

const isBusy = () => walking > 0 || active.size > 0 || first < queue.length;

// Out ---------------------------------------------------------------------------------------
function next() {
  while (!isCancelled && active.size < AT_ONCE && first < queue.length) {
    const job = queue[first];
    queue[first] = null;
    first += 1;
    send(job);
  }
}

function send(job) {
  const request = new XMLHttpRequest();
  const body = new FormData();
  body.append("batch", root.dataset.batch);
  body.append("path", job.path);
  body.append("file", job.file, job.file.name);
  job.request = request;
  job.sent = 0;
  active.set(job, line(job));
  request.upload.onprogress = (event) => {
    job.sent = Math.min(event.loaded, job.file.size);
    draw();
  };
  request.onload = () => answered(job, request);
  request.onerror = () => lost(job, "the connection broke");
  request.onabort = () => over(job, "failed", "cancelled");
  request.responseType = "json";
  request.open("POST", root.dataset.url);
  request.setRequestHeader("X-CSRFToken", token);
  request.setRequestHeader("Accept", "application/json");
  request.send(body);
  draw();
}

function answered(job, request) {
  const answer = request.response;
  if (request.status === 200 && answer?.outcome) {
    for (const note of answer.notes) problem(`${job.path} › ${note.name}`, note.reason);
    for (const uid of answer.study_uids) {
      const known = studies.get(uid) ?? { uploaded: 0, known: null };
      known.uploaded += answer.study_uids.length === 1 ? answer.instances : 0;
      studies.set(uid, known);
    }
    over(job, answer.outcome, answer.reason);
  } else if (request.status === 503 && job.tries + 1 < TRIES) {
    later(job, answer?.error ?? "nothing is taken in now");
  } else {
    const reasons = { 401: "you are signed out; sign in again", 413: "it is too large" };
    over(job, "failed", answer?.error ?? reasons[request.status] ?? `the server answered ${request.status}`);
  }
}

function lost(job, reason) {
  if (job.tries + 1 < TRIES && !isCancelled) later(job, reason);
  else over(job, "failed", reason);
}

function later(job, reason) {
  job.tries += 1;
  job.sent = 0;
  active.get(job).querySelector(".what").textContent = `${reason}; again soon`;
  job.timer = setTimeout(() => {
    active.get(job)?.remove();
    active.delete(job);
    send(job);
  }, PAUSE_MS);
  draw();
}

function over(job, outcome, reason) {
  active.get(job)?.remove();
  active.delete(job);
  doneBytes += job.file.size;
  if (outcome === "failed") failed.push({ file: job.file, path: job.path, tries: 0, sent: 0 });
  if (outcome === "accepted") {
    counts.accepted += 1;
    if (reason) problem(job.path, reason);
  } else problem(job.path, reason, outcome);
  next();
  draw();
}

function cancel() {
  isCancelled = true;
  for (const job of queue.slice(first)) failed.push({ ...job, tries: 0, sent: 0 });
  const left = queue.length - first;
  counts.failed += left;
  first = queue.length;
  if (left) row(`${left} files`, "cancelled before they were sent");
  for (const job of [...active.keys()]) {
    clearTimeout(job.timer);
    if (job.request.readyState === XMLHttpRequest.DONE) over(job, "failed", "cancelled");
    else job.request.abort();
  }
  draw();
}

function again() {
  const jobs = failed.splice(0);
  counts.failed = Math.max(0, counts.failed - jobs.length);
  if (!isBusy()) restart();
  isCancelled = false;
  byId("upload-problems").querySelector("tbody").replaceChildren();
  problems = 0;
  for (const job of jobs) enqueue(job);
  draw();
}

// What is seen ------------------------------------------------------------------------------
function line(job) {
  const item = document.createElement("li");
  const name = Object.assign(document.createElement("span"), { className: "name", dir: "auto", textContent: job.path, title: job.path });
  const bar = Object.assign(document.createElement("progress"), { max: 1, value: 0 });
  bar.setAttribute("aria-label", job.path);
  const what = Object.assign(document.createElement("span"), { className: "what text-secondary" });
  item.append(name, what, bar);
  byId("upload-active").append(item);
  return item;
}

function problem(path, reason, outcome) {
  if (outcome) counts[outcome] += 1;
  row(path, reason);
  draw();
}

function row(path, reason) {
  problems += 1;
  byId("upload-problems").hidden = false;
  if (problems > SHOWN_PROBLEMS) return;
  const cells = [path, reason].map((text) => Object.assign(document.createElement("td"), { textContent: text, dir: "auto" }));
  const line = document.createElement("tr");
  line.append(...cells);
  byId("upload-problems").querySelector("tbody").append(line);
}

function draw() {
  if (needsDrawing) return;
  needsDrawing = true;
  requestAnimationFrame(paint);
  setTimeout(paint, 250); // a hidden page has no frames
}

function paint() {
  if (!needsDrawing) return;
  needsDrawing = false;
  byId("upload-progress").hidden = false;
  let sent = doneBytes;
  for (const [job, item] of active) {
    sent += job.sent;
    item.querySelector("progress").value = job.file.size ? job.sent / job.file.size : 0;
    if (!job.timer && job.sent >= job.file.size) item.querySelector(".what").textContent = "being stored";
  }
  const waiting = queue.length - first + active.size;
  for (const name of ["accepted", "skipped", "failed"]) byId(`count-${name}`).textContent = `${counts[name]} ${name}`;
  byId("count-waiting").textContent = `${waiting} waiting`;
  byId("upload-bar").value = totalBytes ? sent / totalBytes : 0;
  byId("upload-cancel").hidden = !isBusy();
  byId("upload-again").hidden = isBusy() || failed.length === 0;
  byId("upload-headline").textContent = headline(waiting);
  const seconds = (performance.now() - startedAt) / 1000;
  byId("upload-rate").textContent = isBusy() && seconds > 1 ? `${size(sent)} of ${size(totalBytes)}, ${size(sent / seconds)}/s` : "";
  const more = byId("upload-more");
  more.hidden = problems <= SHOWN_PROBLEMS;
  more.textContent = `and ${problems - SHOWN_PROBLEMS} more`;
}

function headline(waiting) {
  if (isBusy()) return `${walking ? "Reading folders; " : ""}${waiting} file${waiting === 1 ? "" : "s"} to go`;
  if (isCancelled) return "Cancelled. What was accepted stays.";
  if (counts.failed) return `Done, but ${counts.failed} file${counts.failed === 1 ? "" : "s"} failed`;
  return "Done";
}

function size(bytes) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  let value = bytes;
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${value.toFixed(unit && value < 10 ? 1 : 0)} ${units[unit]}`;
}

// Studies: asked for until the index has them. --------------------------------------------------
async function askStudies() {
  const open = [...studies].filter(([, study]) => study.known?.state !== "complete").slice(0, 50);
  if (open.length && !document.hidden) {
    const query = new URLSearchParams(open.map(([uid]) => ["uid", uid]));
    try {
      const response = await fetch(`${root.dataset.studiesUrl}?${query}`);
      if (response.ok) {
        for (const found of (await response.json()).studies) studies.get(found.study_uid).known = found;
      }
    } catch { /* the next round asks again */ }
  }
  drawStudies();
  setTimeout(askStudies, ASK_STUDIES_EVERY_MS);
}

function drawStudies() {
  if (!studies.size) return;
  byId("upload-studies").hidden = false;
  const body = byId("upload-studies").querySelector("tbody");
  for (const [uid, { uploaded, known }] of studies) {
    let line = [...body.rows].find((each) => each.dataset.uid === uid);
    if (!line) {
      line = body.insertRow();
      line.dataset.uid = uid;
      for (let column = 0; column < 5; column += 1) line.insertCell();
      line.cells[2].className = line.cells[3].className = "text-end";
      line.cells[1].dir = "auto";
    }
    tell(line.cells[0], study(uid, known));
    const texts = [known?.description || "–", uploaded || "", known?.instances ?? "", known?.state ?? "being indexed"];
    texts.forEach((text, number) => { if (line.cells[number + 1].textContent !== String(text)) line.cells[number + 1].textContent = text; });
  }
}

function study(uid, known) {
  const text = known?.patient || uid;
  if (!known?.url) return Object.assign(document.createElement("span"), { className: "mono small uid", textContent: text });
  return Object.assign(document.createElement("a"), { href: known.url, className: "uid", dir: "auto", textContent: text, title: uid });
}

function tell(cell, element) {
  if (cell.firstChild?.outerHTML !== element.outerHTML) cell.replaceChildren(element);
}

// Events --------------------------------------------------------------------------------------
const zone = byId("drop-zone");
document.addEventListener("dragover", (event) => { event.preventDefault(); zone.classList.add("is-over"); });
document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) zone.classList.remove("is-over"); });
document.addEventListener("drop", (event) => {
  event.preventDefault();
  zone.classList.remove("is-over");
  add(dropped(event.dataTransfer));
});
for (const id of ["choose-files", "choose-folder"]) {
  byId(id).addEventListener("change", (event) => {
    const files = [...event.target.files];
    event.target.value = "";
    if (files.length) add(files);
  });
}
byId("upload-cancel").addEventListener("click", cancel);
byId("upload-again").addEventListener("click", again);
window.addEventListener("beforeunload", (event) => { if (isBusy()) event.preventDefault(); });
askStudies();
