// The uploads page: a queue of files, three requests at once, and what came of each.

import { dropped, walk } from "./file-walk.js";

const AT_ONCE = 3;
const PACK_FILES = 20;
const PACK_BYTES = 8 << 20;
const SHOWN_PROBLEMS = 500;
const ASK_STUDIES_EVERY_MS = 2000;
const PAUSE_MS = 10_000;
const PATIENCE_MS = 30_000; // so long may the index take
const TRIES = 3;
const YIELD_AFTER = 200; // files, so that the page answers meanwhile

const root = document.getElementById("uploader");
const token = document.querySelector('meta[name="csrf-token"]').content;
const byId = (id) => document.getElementById(id);
const maxBytes = Number(root.dataset.maxBytes);

const queue = [];
let first = 0; // of the queue; what lies before it is done with
const active = new Map(); // parcel of files → its line
const counts = { accepted: 0, skipped: 0, failed: 0 };
const studies = new Map(); // UID → {uploaded, known, since}
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
  let seen = 0;
  draw();
  try {
    for await (const { file, path } of walk(entries, (name, reason) => problem(name, reason, "failed"))) {
      if (isCancelled) break;
      enqueue({ file, path });
      seen += 1;
      if (seen % YIELD_AFTER === 0) await new Promise((resolve) => setTimeout(resolve));
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

// Out: small files go together, for a request costs more than they do. ------------------------------
function next() {
  while (!isCancelled && active.size < AT_ONCE && first < queue.length) send(pack());
}

function pack() {
  const jobs = [];
  let bytes = 0;
  while (first < queue.length && jobs.length < PACK_FILES) {
    const job = queue[first];
    if (jobs.length && bytes + job.file.size > PACK_BYTES) break;
    bytes += job.file.size;
    jobs.push(job);
    queue[first] = null;
    first += 1;
  }
  return { jobs, bytes, sent: 0, tries: 0 };
}

function send(parcel) {
  const request = new XMLHttpRequest();
  const body = new FormData();
  body.append("batch", root.dataset.batch);
  for (const { file, path } of parcel.jobs) {
    body.append("path", path);
    body.append("file", file, file.name);
  }
  parcel.request = request;
  parcel.timer = null;
  parcel.sent = 0;
  active.set(parcel, line(parcel));
  request.upload.onprogress = (event) => {
    parcel.sent = Math.min(event.loaded, parcel.bytes);
    draw();
  };
  request.onload = () => answered(parcel, request);
  request.onerror = () => later(parcel, "the connection broke");
  request.onabort = () => over(parcel, "cancelled");
  request.responseType = "json";
  request.open("POST", root.dataset.url);
  request.setRequestHeader("X-CSRFToken", token);
  request.setRequestHeader("Accept", "application/json");
  request.send(body);
  draw();
}

function answered(parcel, request) {
  const answer = request.response;
  if (request.status === 200 && answer?.items) over(parcel, "the server said nothing of it", answer.items);
  else if (request.status === 503) later(parcel, answer?.error ?? "nothing is taken in now");
  else {
    const reasons = { 401: "you are signed out; sign in again", 413: "it is too large" };
    over(parcel, answer?.error ?? reasons[request.status] ?? `the server answered ${request.status}`);
  }
}

function later(parcel, reason) {
  parcel.tries += 1;
  if (parcel.tries >= TRIES || isCancelled) {
    over(parcel, reason);
    return;
  }
  parcel.sent = 0;
  active.get(parcel).querySelector(".what").textContent = `${reason}; again soon`;
  parcel.timer = setTimeout(() => {
    active.get(parcel)?.remove();
    active.delete(parcel);
    send(parcel);
  }, PAUSE_MS);
  draw();
}

/** Done with: `items` says what came of each file; those that it does not name have failed. */
function over(parcel, reason, items = []) {
  active.get(parcel)?.remove();
  active.delete(parcel);
  doneBytes += parcel.bytes;
  parcel.jobs.forEach((job, number) => {
    const item = items[number] ?? { outcome: "failed", reason, notes: [], study_uids: [] };
    for (const note of item.notes) problem(`${job.path} › ${note.name}`, note.reason);
    for (const uid of item.study_uids) {
      const known = studies.get(uid) ?? { uploaded: 0, known: null, since: 0 };
      known.uploaded += item.instances_of[uid];
      known.since = Date.now();
      studies.set(uid, known);
    }
    if (item.outcome === "failed") failed.push(job);
    if (item.outcome !== "accepted") problem(job.path, item.reason, item.outcome);
    else {
      counts.accepted += 1;
      if (item.reason) problem(job.path, item.reason);
    }
  });
  next();
  draw();
}

function cancel() {
  isCancelled = true;
  failed.push(...queue.slice(first));
  const left = queue.length - first;
  counts.failed += left;
  first = queue.length;
  if (left) row(`${left} files`, "cancelled before they were sent");
  for (const parcel of [...active.keys()]) {
    clearTimeout(parcel.timer);
    if (parcel.request.readyState === XMLHttpRequest.DONE) over(parcel, "cancelled");
    else parcel.request.abort();
  }
  draw();
}

function again() {
  const jobs = failed.splice(0);
  counts.failed = Math.max(0, counts.failed - jobs.length);
  if (!isBusy()) restart();
  isCancelled = false;
  byId("upload-problems").querySelector("tbody").replaceChildren();
  byId("upload-problems").hidden = true;
  problems = 0;
  for (const job of jobs) enqueue(job);
  draw();
}

// What is seen ------------------------------------------------------------------------------
function line(parcel) {
  const { path } = parcel.jobs[0];
  const text = parcel.jobs.length > 1 ? `${path} and ${parcel.jobs.length - 1} more` : path;
  const item = document.createElement("li");
  const name = Object.assign(document.createElement("span"), { className: "name", dir: "auto", textContent: text, title: text });
  const bar = Object.assign(document.createElement("progress"), { max: 1, value: 0 });
  bar.setAttribute("aria-label", text);
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
  let waiting = queue.length - first;
  for (const [parcel, item] of active) {
    sent += parcel.sent;
    waiting += parcel.jobs.length;
    item.querySelector("progress").value = parcel.sent / parcel.bytes;
    if (!parcel.timer && parcel.sent >= parcel.bytes) item.querySelector(".what").textContent = "being stored";
  }
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
  for (const [uid, { uploaded, known, since }] of studies) {
    let line = [...body.rows].find((each) => each.dataset.uid === uid);
    if (!line) {
      line = body.insertRow();
      line.dataset.uid = uid;
      for (let column = 0; column < 5; column += 1) line.insertCell();
      line.cells[2].className = line.cells[3].className = "text-end";
      line.cells[1].dir = "auto";
      line.cells[1].className = "text-start";
    }
    tell(line.cells[0], study(uid, known));
    const texts = [known?.description || "–", uploaded || "", known?.instances ?? "", known?.state ?? (Date.now() - since < PATIENCE_MS ? "being indexed" : "not in the index; it may be held in quarantine")];
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
