// Keeps the page current: applies the changes that the service sends once a second.

import { localiseTimes } from "./times.js";
import { showNewLanes } from "./lanes.js";

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

const stream = new EventSource(`/events-stream?after=${encodeURIComponent(status.dataset.revision)}`);
stream.addEventListener("message", (event) => {
  apply(JSON.parse(event.data));
  status.dataset.revision = event.lastEventId;
});
stream.addEventListener("open", () => {
  problem.hidden = true;
  document.documentElement.dataset.stream = "open";
});
stream.addEventListener("error", () => {
  problem.textContent = stream.readyState === EventSource.CLOSED
    ? "This page gets no changes: the service refused the connection. Reload the page."
    : "This page gets no changes: the service does not answer. The page tries again.";
  problem.hidden = false;
  document.documentElement.dataset.stream = "broken";
});
