// Keeps the page current: applies the changes that the service sends once a second.

import { localiseTimes } from "./times.js";
import { showNewLanes } from "./lanes.js";

const RECONNECT_MS = 3000;
const status = document.getElementById("status");
const incidents = document.getElementById("incidents");
const problem = document.getElementById("stream-problem");

/** Replace the content of an element, and keep the keyboard focus if it was inside. */
function replaceContent(element, html) {
  const focusedAddress = element.contains(document.activeElement)
    ? document.activeElement.getAttribute("href") : null;
  element.innerHTML = html;
  localiseTimes(element);
  if (focusedAddress !== null) {
    element.querySelector(`[href="${CSS.escape(focusedAddress)}"]`)?.focus();
  }
}

/** Put the articles of the open incidents in this order; create new ones, remove closed ones. */
function arrange(order) {
  const wanted = new Set(order);
  for (const article of [...incidents.children]) {
    if (!wanted.has(article.id)) article.remove();
  }
  order.forEach((id, index) => {
    let article = document.getElementById(id);
    if (article === null) {
      article = document.createElement("article");
      article.className = "incident";
      article.id = id;
    }
    if (incidents.children[index] !== article) {
      incidents.insertBefore(article, incidents.children[index] ?? null);
    }
  });
}

/** Show how long ago the newest event was written. */
function showAge() {
  const age = document.getElementById("newest-age");
  const time = age?.parentElement.querySelector("time");
  if (!time) return;
  const seconds = Math.max(Math.round((Date.now() - Date.parse(time.dateTime)) / 1000), 0);
  age.textContent = seconds < 120 ? `${seconds} s ago`
    : seconds < 7200 ? `${Math.floor(seconds / 60)} min ago` : `${Math.floor(seconds / 3600)} h ago`;
}

function apply(delta) {
  arrange(delta.order);
  for (const [id, html] of Object.entries(delta.parts)) {
    const element = document.getElementById(id);
    if (element !== null) replaceContent(element, html);
  }
  showAge();
  showNewLanes(delta.lanes);
}

showAge();
setInterval(showAge, 1000);

function showProblem(text) {
  problem.textContent = text;
  problem.hidden = false;
  document.documentElement.dataset.stream = "broken";
}

/** Get the changes after the newest known one. The browser itself connects again after a break. */
function connect() {
  const after = encodeURIComponent(status.dataset.revision);
  const stream = new EventSource(`/events-stream?after=${after}`);
  stream.addEventListener("message", (event) => {
    apply(JSON.parse(event.data));
    status.dataset.revision = event.lastEventId;
  });
  stream.addEventListener("open", () => {
    problem.hidden = true;
    document.documentElement.dataset.stream = "open";
  });
  stream.addEventListener("error", () => {
    if (stream.readyState !== EventSource.CLOSED) {
      showProblem("This page gets no changes: the service does not answer. The page tries again.");
      return;
    }
    // After an answer with an error status, the browser does not connect again by itself.
    showProblem("This page gets no changes: the service refused the connection. The page tries again. If this message stays, reload the page.");
    setTimeout(connect, RECONNECT_MS);
  });
}

connect();
