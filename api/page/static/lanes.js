// Draws the swim lanes: one line for each sensor, with a mark for the highest score of each time.

import { localiseTimes, timeText } from "./times.js";

const LINE_HEIGHT = 22;
const NAME_SHARE = 0.26;
const MAX_NAME_WIDTH = 190;
const AXIS_HEIGHT = 26;
const REFRESH_MS = 5000;
const MIN_MARK_WIDTH = 3;
const SEVERITIES = ["none", "info", "warning", "major", "critical"];

const section = document.getElementById("sensors");
const canvas = document.getElementById("lanes");
const odd = document.getElementById("odd");
const zoomIn = document.getElementById("zoom-in");
const zoomOut = document.getElementById("zoom-out");

let content = { begin: 0, end: 1, step: 60, lanes: [] };
let zoom = null; // the shown span, or null for the newest hours
let selection = null; // [begin, end] in seconds, or null
let dragStart = null;
let lastLoad = -Infinity;
let timer = null;
let needsLanes = false;

function layout() {
  const width = canvas.clientWidth;
  const left = Math.min(Math.round(width * NAME_SHARE), MAX_NAME_WIDTH);
  return { width, left, plotWidth: Math.max(width - left - 8, 10),
    height: Math.max(content.lanes.length, 1) * LINE_HEIGHT + AXIS_HEIGHT };
}

function colourOf(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function shortened(context, text, width) {
  if (context.measureText(text).width <= width) return text;
  let end = text.length;
  while (end > 1 && context.measureText(`${text.slice(0, end)}…`).width > width) end -= 1;
  return `${text.slice(0, end)}…`;
}

function draw() {
  const { width, left, plotWidth, height } = layout();
  const ratio = window.devicePixelRatio || 1;
  canvas.height = Math.round(height * ratio);
  canvas.width = Math.round(width * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.font = "13px system-ui, sans-serif";
  context.textBaseline = "middle";
  const seconds = Math.max(content.end - content.begin, 1);
  const pixel = (time) => left + ((time - content.begin) / seconds) * plotWidth;
  const colours = SEVERITIES.map((severity) => colourOf(`--${severity}-mark`));
  const highest = Math.max(...content.lanes.flatMap((lane) => lane.cells.map((cell) => cell[1])), 1);
  content.lanes.forEach((lane, index) => {
    const bottom = (index + 1) * LINE_HEIGHT - 3;
    context.fillStyle = colourOf("--text");
    context.fillText(shortened(context, lane.sensor, left - 12), 0, bottom - LINE_HEIGHT / 2 + 3);
    context.fillStyle = colourOf("--line");
    context.fillRect(left, bottom, plotWidth, 1);
    for (const [begin, score, rank] of lane.cells) {
      const share = Math.log1p(Math.max(score, 0)) / Math.log1p(highest);
      const barHeight = 4 + share * (LINE_HEIGHT - 8);
      context.fillStyle = colours[Math.min(rank, colours.length - 1)];
      const barWidth = Math.max((content.step / seconds) * plotWidth, MIN_MARK_WIDTH);
      context.fillRect(Math.max(pixel(begin), left), bottom - barHeight, barWidth, barHeight);
    }
  });
  drawAxis(context, left, plotWidth, height);
  if (selection !== null) {
    context.fillStyle = colourOf("--selection");
    const first = pixel(selection[0]);
    context.fillRect(first, 0, Math.max(pixel(selection[1]) - first, 2), height - AXIS_HEIGHT + 4);
  }
}

function drawAxis(context, left, plotWidth, height) {
  const labels = plotWidth < 420 ? 2 : 5;
  context.fillStyle = colourOf("--muted");
  for (let index = 0; index < labels; index += 1) {
    const share = index / (labels - 1);
    const time = content.begin + share * (content.end - content.begin);
    context.textAlign = index === 0 ? "left" : index === labels - 1 ? "right" : "center";
    context.fillText(timeText(new Date(time * 1000)), left + share * plotWidth, height - 9);
  }
  context.textAlign = "left";
}

function timeAt(clientX) {
  const { left, plotWidth } = layout();
  const share = (clientX - canvas.getBoundingClientRect().left - left) / plotWidth;
  return content.begin + Math.min(Math.max(share, 0), 1) * (content.end - content.begin);
}

function query(span) {
  return span === null ? "" : `?from=${span[0]}&to=${span[1]}`;
}

async function load() {
  lastLoad = performance.now();
  needsLanes = false;
  const response = await fetch(`/lanes${query(zoom)}`);
  if (!response.ok) return;
  content = await response.json();
  section.dataset.empty = String(content.lanes.length === 0 && zoom === null);
  section.dataset.lanes = String(content.lanes.length);
  draw();
}

async function loadTable() {
  const response = await fetch(`/odd${query(selection ?? zoom)}`);
  if (!response.ok) return;
  odd.innerHTML = await response.text();
  localiseTimes(odd);
}

function isFixed() {
  return zoom !== null || selection !== null;
}

/** Load lanes and table again, at most once in REFRESH_MS, unless a person looks at a fixed time. */
function loadLater(withLanes) {
  needsLanes ||= withLanes;
  if (isFixed() || timer !== null) return;
  const wait = Math.max(lastLoad + REFRESH_MS - performance.now(), 0);
  timer = setTimeout(async () => {
    timer = null;
    if (isFixed()) return;
    if (needsLanes) await load();
    lastLoad = performance.now();
    if (!odd.contains(document.activeElement)) await loadTable();
  }, wait);
}

/** Add changed cells to the lanes. Without cells (`changes` is null), all lanes are loaded again. */
export function showNewLanes(changes) {
  if (changes === null) {
    loadLater(true);
    return;
  }
  const known = new Map(content.lanes.map((lane) => [lane.sensor, lane]));
  const isComplete = changes.step === content.step
    && changes.lanes.every((lane) => known.has(lane.sensor));
  loadLater(!isComplete || isFixed());
  if (isFixed() || !isComplete) return;
  content = { ...changes, lanes: changes.lanes.map((lane) => {
    const cells = new Map(known.get(lane.sensor).cells.map((cell) => [cell[0], cell]));
    for (const cell of lane.cells) cells.set(cell[0], cell);
    const shown = [...cells.values()].filter((cell) => cell[0] > changes.begin - changes.step);
    return { sensor: lane.sensor, cells: shown };
  }) };
  section.dataset.lanes = String(content.lanes.length);
  draw();
}

function select(first, last) {
  const begin = Math.max(Math.min(first, last), content.begin);
  const end = Math.min(Math.max(first, last), content.end);
  selection = end - begin < content.step ? [begin, Math.min(begin + content.step, content.end)]
    : [begin, end];
  zoomIn.disabled = false;
  draw();
}

function clearSelection() {
  selection = null;
  zoomIn.disabled = true;
}

canvas.addEventListener("pointerdown", (event) => {
  dragStart = timeAt(event.clientX);
  canvas.setPointerCapture(event.pointerId);
});
canvas.addEventListener("pointermove", (event) => {
  if (dragStart !== null) select(dragStart, timeAt(event.clientX));
});
canvas.addEventListener("pointerup", (event) => {
  if (dragStart === null) return;
  select(dragStart, timeAt(event.clientX));
  dragStart = null;
  loadTable();
});
canvas.addEventListener("pointercancel", () => { dragStart = null; });

canvas.addEventListener("keydown", (event) => {
  const stepSize = (content.end - content.begin) / 24;
  const [begin, end] = selection ?? [content.end - stepSize, content.end];
  if (event.key === "ArrowLeft" || event.key === "ArrowRight") {
    const move = event.key === "ArrowLeft" ? -stepSize : stepSize;
    if (event.shiftKey) select(begin, end + move);
    else if (begin + move >= content.begin && end + move <= content.end) {
      select(begin + move, end + move);
    }
    loadTable();
  } else if (event.key === "Escape") {
    clearSelection();
    draw();
    loadTable();
  } else if (event.key === "Enter" && selection !== null) {
    zoomIn.click();
  } else {
    return;
  }
  event.preventDefault();
});

zoomIn.addEventListener("click", async () => {
  zoom = selection;
  clearSelection();
  zoomOut.disabled = false;
  await load();
  await loadTable();
  zoomOut.focus();
});
zoomOut.addEventListener("click", async () => {
  zoom = null;
  clearSelection();
  zoomOut.disabled = true;
  await load();
  await loadTable();
  canvas.focus();
});
new ResizeObserver(draw).observe(canvas.parentElement);
window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw);
load();
