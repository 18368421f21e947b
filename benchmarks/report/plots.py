"""The kinds of plots in the benchmark documents, drawn as SVG text."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.report.true_ranges import true_ranges
from sensorwatch.common.svg import (
    BACKGROUND_COLOUR,
    FAULT_COLOUR,
    GRID_COLOUR,
    MUTED_COLOUR,
    OUR_COLOUR,
    PLAIN_COLOUR,
    TARGET_COLOUR,
    TEXT_COLOUR,
    TRIVIAL_COLOUR,
    Drawing,
)

WIDTH = 800.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 56.0, 52.0, 20.0, 44.0
_STRIP_HEIGHT, _BAR_HEIGHT = 18.0, 24.0
_LABEL_WIDTH = 250.0


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar of a plot, with its name, value and label."""

    name: str
    value: float
    colour: str = OUR_COLOUR
    label: str = ""


@dataclass(frozen=True, slots=True)
class Point:
    """A named point of a scatter plot."""

    name: str
    x: float
    y: float
    colour: str = OUR_COLOUR
    hollow: bool = False


@dataclass(frozen=True, slots=True)
class Strip:
    """One strip of a plot, which shows the faulty rows and the alarms of one file."""

    name: str
    faulty: NDArray[np.bool_]
    alarmed: NDArray[np.bool_]


def bars(title: str, bars_to_draw: Sequence[Bar], *, top: float, unit: str = "") -> str:
    """Draw horizontal bars on an axis from 0 to `top`; a negative value has no visible bar."""
    drawing = _titled_drawing(title, _TOP + _BAR_HEIGHT * len(bars_to_draw) + 12)
    bar_space = WIDTH - _LABEL_WIDTH - 90
    for bar_number, bar in enumerate(bars_to_draw):
        y = _TOP + _BAR_HEIGHT * bar_number
        length = bar_space * min(max(bar.value / top, 0.0), 1.0)
        drawing.text(_LABEL_WIDTH - 10, y + 13, bar.name, anchor="end")
        drawing.rect(_LABEL_WIDTH, y, bar_space, _BAR_HEIGHT - 7, BACKGROUND_COLOUR, radius=3)
        drawing.rect(_LABEL_WIDTH, y, length, _BAR_HEIGHT - 7, bar.colour, radius=3)
        label = bar.label or f"{bar.value:.1f}{unit}"
        drawing.text(_LABEL_WIDTH + bar_space + 8, y + 13, label, bold=bar.colour == OUR_COLOUR)
    return drawing.to_text()


def scatter(
    title: str,
    points: Sequence[Point],
    *,
    axis_names: tuple[str, str],
    target: tuple[float, float],
    top: float = 100.0,
) -> str:
    """Draw points on two axes from 0 to `top`; the area below `target` on both is shaded."""
    plot_size = 470.0
    drawing = _titled_drawing(title, _TOP + plot_size + _BOTTOM)

    def pixel_of(x: float, y: float) -> tuple[float, float]:
        return _LEFT + plot_size * x / top, _TOP + plot_size * (1 - y / top)

    x, y = pixel_of(0, target[1])
    drawing.rect(x, y, plot_size * target[0] / top, plot_size * target[1] / top, TARGET_COLOUR)
    drawing.text(x + 6, y + 16, "wanted", size=11, colour=MUTED_COLOUR)
    for tick in np.linspace(0, top, 6).tolist():
        x, y = pixel_of(tick, tick)
        drawing.line(x, _TOP, x, _TOP + plot_size)
        drawing.line(_LEFT, y, _LEFT + plot_size, y)
        drawing.text(
            x, _TOP + plot_size + 16, f"{tick:g}", size=11, colour=MUTED_COLOUR, anchor="middle"
        )
        drawing.text(_LEFT - 8, y + 4, f"{tick:g}", size=11, colour=MUTED_COLOUR, anchor="end")
    for point_number, point in enumerate(points):
        x, y = pixel_of(point.x, point.y)
        drawing.dot(x, y, point.colour, hollow=point.hollow)
        drawing.text(x + 9, y + 4, str(point_number + 1), size=11, colour=point.colour, bold=True)
        legend_y = _TOP + 14 + 20 * point_number
        drawing.dot(_LEFT + plot_size + 30, legend_y - 4, point.colour, hollow=point.hollow)
        drawing.text(
            _LEFT + plot_size + 42, legend_y, f"{point_number + 1}  {point.name}", size=11.5
        )
    drawing.text(
        _LEFT + plot_size / 2,
        _TOP + plot_size + 34,
        axis_names[0],
        colour=MUTED_COLOUR,
        anchor="middle",
    )
    drawing.text(_LEFT, _TOP - 8, axis_names[1], colour=MUTED_COLOUR)
    return drawing.to_text()


def strips(title: str, strips_to_draw: Sequence[Strip], *, alarm_name: str) -> str:
    """Draw a horizontal strip for each file, with faulty rows as bands and alarms as marks."""
    drawing = _titled_drawing(title, _TOP + 14 + _STRIP_HEIGHT * len(strips_to_draw) + 10)
    drawing.rect(_LABEL_WIDTH, _TOP - 12, 14, 10, FAULT_COLOUR)
    drawing.text(_LABEL_WIDTH + 20, _TOP - 3, "labelled", size=11, colour=MUTED_COLOUR)
    drawing.rect(_LABEL_WIDTH + 90, _TOP - 12, 14, 10, OUR_COLOUR)
    drawing.text(_LABEL_WIDTH + 110, _TOP - 3, alarm_name, size=11, colour=MUTED_COLOUR)
    bar_space = WIDTH - _LABEL_WIDTH - _RIGHT
    for strip_number, strip in enumerate(strips_to_draw):
        y, pixel = _TOP + 8 + _STRIP_HEIGHT * strip_number, bar_space / max(len(strip.faulty), 1)
        drawing.text(_LABEL_WIDTH - 8, y + 10, strip.name, size=10.5, anchor="end")
        drawing.rect(_LABEL_WIDTH, y, bar_space, _STRIP_HEIGHT - 5, BACKGROUND_COLOUR)
        for first, end in true_ranges(strip.faulty):
            drawing.rect(
                _LABEL_WIDTH + first * pixel,
                y,
                (end - first) * pixel,
                _STRIP_HEIGHT - 5,
                FAULT_COLOUR,
            )
        for first, end in true_ranges(strip.alarmed):
            width = max((end - first) * pixel, 1.0)
            drawing.rect(_LABEL_WIDTH + first * pixel, y + 3, width, _STRIP_HEIGHT - 11, OUR_COLOUR)
    return drawing.to_text()


def ratios(title: str, groups: Sequence[tuple[str, Sequence[Bar]]], *, factor: float) -> str:
    """Draw ratios on a logarithmic axis; the range from 1 / `factor` to `factor` is shaded."""
    row_height, max_ratio = 20.0, 30.0
    rows = sum(len(group) for _, group in groups)
    drawing = _titled_drawing(
        title, _TOP + row_height * (rows + len(groups)) + 12 * len(groups) + _BOTTOM
    )
    bar_space, bottom = WIDTH - _LABEL_WIDTH - 60, drawing.height - _BOTTOM

    def pixel_of(value: float) -> float:
        clipped_value = min(max(value, 1 / max_ratio), max_ratio)
        return _LABEL_WIDTH + bar_space * (math.log(clipped_value) / math.log(max_ratio) + 1) / 2

    drawing.rect(
        pixel_of(1 / factor),
        _TOP,
        pixel_of(factor) - pixel_of(1 / factor),
        bottom - _TOP,
        TARGET_COLOUR,
    )
    for tick in (1 / 30, 0.1, 1 / 3, 1.0, 3.0, 10.0, 30.0):
        drawing.line(
            pixel_of(tick),
            _TOP,
            pixel_of(tick),
            bottom,
            TEXT_COLOUR if tick == 1.0 else GRID_COLOUR,
        )
        label = f"{tick:g}" if tick >= 1 else f"1/{1 / tick:.0f}"
        drawing.text(
            pixel_of(tick), bottom + 16, label, size=11, colour=MUTED_COLOUR, anchor="middle"
        )
    y = _TOP + 18
    for name, group in groups:
        drawing.text(16, y + 4, name, bold=True)
        y += row_height
        for bar in group:
            drawing.text(
                _LABEL_WIDTH - 12, y + 4, bar.name, size=11, anchor="end", colour=MUTED_COLOUR
            )
            drawing.line(pixel_of(1.0), y, pixel_of(bar.value), y, bar.colour)
            drawing.dot(pixel_of(bar.value), y, bar.colour)
            drawing.text(WIDTH - 52, y + 4, f"{bar.value:.3g}", size=11)
            y += row_height
        y += 12
    drawing.text(
        _LABEL_WIDTH + bar_space / 2,
        bottom + 34,
        "realised / configured",
        colour=MUTED_COLOUR,
        anchor="middle",
    )
    return drawing.to_text()


def colour_of(name: str, *, default_name: str) -> str:
    """Return the colour of a detector: the default, the plain recipe, or a trivial rule."""
    if name.startswith(default_name):
        return OUR_COLOUR
    return PLAIN_COLOUR if name.startswith("plain") else TRIVIAL_COLOUR


def _titled_drawing(title: str, height: float) -> Drawing:
    drawing = Drawing(WIDTH, height, title)
    drawing.text(16, 24, title, size=15, bold=True)
    return drawing
