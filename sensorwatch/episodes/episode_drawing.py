"""Draw an episode as SVG, alone or in an HTML page with a table."""

from collections.abc import Sequence
from html import escape
from math import isfinite
from pathlib import Path

import numpy as np

from sensorwatch.common.errors import UsageError
from sensorwatch.common.svg import FAULT_COLOUR, OUR_COLOUR, Drawing
from sensorwatch.common.svg_panel import (
    ALARM_COLOUR,
    BAND_COLOUR,
    Panel,
    legend,
    titled_drawing,
    true_ranges,
)
from sensorwatch.episodes.episode_text import state_text, time_text
from sensorwatch.episodes.episode_view import EpisodeView, SignalSeries

PANEL_HEIGHT, PANEL_GAP, TOP, BOTTOM = 110.0, 46.0, 76.0, 50.0
MAX_PANELS = 8
"""Number of signals that are drawn, the most unusual ones first."""

_STYLE = """
body { font-family: system-ui, sans-serif; margin: 2rem auto; max-width: 52rem; padding: 0 1rem;
  color: #1f2933; background: #fff; }
table { border-collapse: collapse; } th, td { text-align: left; padding: .2rem .8rem .2rem 0;
  vertical-align: top; } svg { max-width: 100%; height: auto; }
"""


def write_drawing(view: EpisodeView, path: Path) -> None:
    """Write the drawing of an episode to a file `.svg` or `.html`.

    Raises UsageError if the name has another ending, or if there is nothing to draw.
    """
    writers = {".svg": svg_text, ".html": html_text}
    writer = writers.get(path.suffix.lower())
    if writer is None:
        raise UsageError(f'--plot: "{path}" does not end with .svg or .html: name such a file')
    if not any(_is_drawable(series) for series in view.series):
        raise UsageError("--plot: the episode has no values that can be drawn")
    path.write_text(writer(view), encoding="utf-8")


def svg_text(view: EpisodeView) -> str:
    """Return the drawing: a panel per signal, with the expected bands that the events have."""
    panels = [series for series in view.series if _is_drawable(series)][:MAX_PANELS]
    height = TOP + len(panels) * (PANEL_HEIGHT + PANEL_GAP) + BOTTOM
    title = f"{view.episode.sensor_id}: {view.episode.severity}, {state_text(view.episode)}"
    drawing = titled_drawing(title, height)
    legend(
        drawing,
        48,
        [
            (OUR_COLOUR, "measured"),
            (ALARM_COLOUR, "row in the episode"),
            (BAND_COLOUR, "expected"),
            (FAULT_COLOUR, "time of the episode"),
        ],
    )
    for number, series in enumerate(panels):
        top = TOP + number * (PANEL_HEIGHT + PANEL_GAP) + 12
        _draw_series(drawing, series, top)
    return drawing.to_text()


def html_text(view: EpisodeView) -> str:
    """Return a page with the drawing and a table of the facts; it has no scripts."""
    episode = view.episode
    facts = [
        ("sensor", episode.sensor_id),
        ("severity", episode.severity),
        ("state", state_text(episode)),
        ("begin", time_text(episode.begin)),
        ("pattern", episode.pattern),
        ("model version", episode.model_version),
        ("id", episode.id),
        *(
            (f"{step.kind} {time_text(step.time)}", f"{step.severity} {step.message}")
            for step in episode.steps
        ),
    ]
    rows = "\n".join(
        f"<tr><th scope='row'>{escape(name)}</th><td>{escape(text)}</td></tr>"
        for name, text in facts
    )
    heading = escape(episode.message or f"Episode of {episode.sensor_id}")
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        f"<title>{escape(episode.sensor_id)}</title><style>{_STYLE}</style></head><body>\n"
        f"<h1>{heading}</h1>\n<table>{rows}</table>\n{svg_text(view)}\n</body></html>\n"
    )


def _is_drawable(series: SignalSeries) -> bool:
    return any(isfinite(value) for value in series.values)


def _draw_series(drawing: Drawing, series: SignalSeries, top: float) -> None:
    finite_values = [value for value in series.values if isfinite(value)]
    values = _without_gaps(series.values)
    bounds = [bound for band in series.bands if band is not None for bound in band]
    low, high = min([*finite_values, *bounds]), max([*finite_values, *bounds])
    margin = 0.08 * (high - low) or 1.0
    panel = Panel(
        drawing,
        top,
        top + PANEL_HEIGHT,
        x=(-0.5, len(values) - 0.5),
        y=(low - margin, high + margin),
    )
    for first, end in true_ranges(np.asarray(series.in_episode, dtype=np.bool_)):
        panel.shade(first - 0.5, end - 0.5, FAULT_COLOUR)
    for first, end in true_ranges(np.asarray([band is not None for band in series.bands])):
        bands = [band for band in series.bands[first:end] if band is not None]
        panel.band([band[0] for band in bands], [band[1] for band in bands], first=first)
    panel.axes(
        x=[],
        y=[low, high],
        axis_names=(f"{time_text(series.times[0])} to {time_text(series.times[-1])}", series.name),
    )
    panel.line(values, OUR_COLOUR, width=1.4)
    panel.dots(
        [row for row, is_member in enumerate(series.in_episode) if is_member],
        values,
        ALARM_COLOUR,
        radius=2.5,
    )


def _without_gaps(values: Sequence[float]) -> list[float]:
    """Return the values; a missing value is replaced by the value before it, or after it."""
    last_value = next(value for value in values if isfinite(value))
    filled = []
    for value in values:
        last_value = value if isfinite(value) else last_value
        filled.append(last_value)
    return filled
