"""The kinds of plot that the document shows, from figures to a drawing."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.report.svg import (
    BACKGROUND,
    FAULT,
    GRID,
    MUTED,
    OURS,
    PLAIN,
    TARGET_COLOUR,
    TEXT_COLOUR,
    TRIVIAL,
    Drawing,
)

WIDTH = 800.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 56.0, 52.0, 20.0, 44.0
_STRIP, _BAR = 18.0, 24.0
_LABELS = 250.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A name, a figure, and the text beside it."""

    name: str
    value: float
    colour: str = OURS
    label: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A named place."""

    name: str
    x: float
    y: float
    colour: str = OURS
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Strip:
    """Rows of a file: which are labelled faulty, and at which there was an alarm."""

    name: str
    faulty: NDArray[np.bool_]
    alarmed: NDArray[np.bool_]


def bars(title: str, items: Sequence[Bar], *, top: float, unit: str = "") -> str:
    """Draw horizontal bars from 0 to `top`; what lies below 0 is shown as 0, with its number."""
    drawing = _titled_drawing(title, _TOP + _BAR * len(items) + 12)
    bar_space = WIDTH - _LABELS - 90
    for number, bar in enumerate(items):
        y = _TOP + _BAR * number
        length = bar_space * min(max(bar.value / top, 0.0), 1.0)
        drawing.text(_LABELS - 10, y + 13, bar.name, anchor="end")
        drawing.rect(_LABELS, y, bar_space, _BAR - 7, BACKGROUND, radius=3)
        drawing.rect(_LABELS, y, length, _BAR - 7, bar.colour, radius=3)
        label = bar.label or f"{bar.value:.1f}{unit}"
        drawing.text(_LABELS + bar_space + 8, y + 13, label, bold=bar.colour == OURS)
    return drawing.to_text()


def scatter(
    title: str,
    points: Sequence[Point],
    *,
    axes: tuple[str, str],
    good: tuple[float, float],
    top: float = 100.0,
) -> str:
    """Draw points from 0 to `top` on both axes; the corner below `good` is shaded."""
    side = 470.0
    drawing = _titled_drawing(title, _TOP + side + _BOTTOM)

    def place(x: float, y: float) -> tuple[float, float]:
        return _LEFT + side * x / top, _TOP + side * (1 - y / top)

    x, y = place(0, good[1])
    drawing.rect(x, y, side * good[0] / top, side * good[1] / top, TARGET_COLOUR)
    drawing.text(x + 6, y + 16, "wanted", size=11, colour=MUTED)
    for tick in np.linspace(0, top, 6).tolist():
        x, y = place(tick, tick)
        drawing.line(x, _TOP, x, _TOP + side)
        drawing.line(_LEFT, y, _LEFT + side, y)
        drawing.text(x, _TOP + side + 16, f"{tick:g}", size=11, colour=MUTED, anchor="middle")
        drawing.text(_LEFT - 8, y + 4, f"{tick:g}", size=11, colour=MUTED, anchor="end")
    for number, point in enumerate(points):
        x, y = place(point.x, point.y)
        drawing.dot(x, y, point.colour, hollow=point.hollow)
        drawing.text(x + 9, y + 4, str(number + 1), size=11, colour=point.colour, bold=True)
        legend_y = _TOP + 14 + 20 * number
        drawing.dot(_LEFT + side + 30, legend_y - 4, point.colour, hollow=point.hollow)
        drawing.text(_LEFT + side + 42, legend_y, f"{number + 1}  {point.name}", size=11.5)
    drawing.text(_LEFT + side / 2, _TOP + side + 34, axes[0], colour=MUTED, anchor="middle")
    drawing.text(_LEFT, _TOP - 8, axes[1], colour=MUTED)
    return drawing.to_text()


def strips(title: str, items: Sequence[Strip], *, key: str) -> str:
    """Draw a strip for each file: labelled rows as a band, alarms as marks."""
    drawing = _titled_drawing(title, _TOP + 14 + _STRIP * len(items) + 10)
    drawing.rect(_LABELS, _TOP - 12, 14, 10, FAULT)
    drawing.text(_LABELS + 20, _TOP - 3, "labelled", size=11, colour=MUTED)
    drawing.rect(_LABELS + 90, _TOP - 12, 14, 10, OURS)
    drawing.text(_LABELS + 110, _TOP - 3, key, size=11, colour=MUTED)
    bar_space = WIDTH - _LABELS - _RIGHT
    for number, strip in enumerate(items):
        y, pixel = _TOP + 8 + _STRIP * number, bar_space / max(len(strip.faulty), 1)
        drawing.text(_LABELS - 8, y + 10, strip.name, size=10.5, anchor="end")
        drawing.rect(_LABELS, y, bar_space, _STRIP - 5, BACKGROUND)
        for first, end in _true_ranges(strip.faulty):
            drawing.rect(_LABELS + first * pixel, y, (end - first) * pixel, _STRIP - 5, FAULT)
        for first, end in _true_ranges(strip.alarmed):
            width = max((end - first) * pixel, 1.0)
            drawing.rect(_LABELS + first * pixel, y + 3, width, _STRIP - 11, OURS)
    return drawing.to_text()


def ratios(title: str, groups: Sequence[tuple[str, Sequence[Bar]]], *, factor: float) -> str:
    """Draw each group's figures on one log axis around 1; within `factor` is shaded."""
    row, most = 20.0, 30.0
    rows = sum(len(group) for _, group in groups)
    drawing = _titled_drawing(title, _TOP + row * (rows + len(groups)) + 12 * len(groups) + _BOTTOM)
    bar_space, bottom = WIDTH - _LABELS - 60, drawing.height - _BOTTOM

    def place(value: float) -> float:
        clipped = min(max(value, 1 / most), most)
        return _LABELS + bar_space * (math.log(clipped) / math.log(most) + 1) / 2

    drawing.rect(
        place(1 / factor), _TOP, place(factor) - place(1 / factor), bottom - _TOP, TARGET_COLOUR
    )
    for tick in (1 / 30, 0.1, 1 / 3, 1.0, 3.0, 10.0, 30.0):
        drawing.line(place(tick), _TOP, place(tick), bottom, TEXT_COLOUR if tick == 1.0 else GRID)
        label = f"{tick:g}" if tick >= 1 else f"1/{1 / tick:.0f}"
        drawing.text(place(tick), bottom + 16, label, size=11, colour=MUTED, anchor="middle")
    y = _TOP + 18
    for name, group in groups:
        drawing.text(16, y + 4, name, bold=True)
        y += row
        for bar in group:
            drawing.text(_LABELS - 12, y + 4, bar.name, size=11, anchor="end", colour=MUTED)
            drawing.line(place(1.0), y, place(bar.value), y, bar.colour)
            drawing.dot(place(bar.value), y, bar.colour)
            drawing.text(WIDTH - 52, y + 4, f"{bar.value:.3g}", size=11)
            y += row
        y += 12
    drawing.text(
        _LABELS + bar_space / 2, bottom + 34, "realised / configured", colour=MUTED, anchor="middle"
    )
    return drawing.to_text()


def colour_of(name: str, *, ours: str) -> str:
    """Return the colour of a contestant: ours, the plain recipe, or a trivial rule."""
    if name.startswith(ours):
        return OURS
    return PLAIN if name.startswith("plain") else TRIVIAL


def _titled_drawing(title: str, height: float) -> Drawing:
    drawing = Drawing(WIDTH, height, title)
    drawing.text(16, 24, title, size=15, bold=True)
    return drawing


def _true_ranges(rows: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([False], rows, [False])).astype(np.int8)))
    return [(int(first), int(end)) for first, end in zip(edges[::2], edges[1::2], strict=True)]
