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

function apply(delta) {
  arrange(delta.order);
  for (const [id, html] of Object.entries(delta.parts)) {
    const element = document.getElementById(id);
    if (element !== null) replaceContent(element, html);
  }
  showNewLanes();
}

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
