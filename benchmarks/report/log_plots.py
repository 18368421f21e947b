"""Plots with two logarithmic axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.svg import (
    GRID_COLOUR,
    MUTED_COLOUR,
    OUR_COLOUR,
    PLAIN_COLOUR,
    PUBLISHED_COLOUR,
    Drawing,
)

WIDTH, HEIGHT = 800.0, 460.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 60.0, 44.0, 210.0, 52.0
_COLOURS = (OUR_COLOUR, PLAIN_COLOUR, PUBLISHED_COLOUR, "#e8590c", "#2b8a3e")


@dataclass(frozen=True, slots=True)
class Curve:
    """A named series of points; all coordinates are positive."""

    name: str
    points: Sequence[tuple[float, float]]


def log_log_plot(title: str, curves: Sequence[Curve], *, axis_names: tuple[str, str]) -> str:
    """Return a plot of curves on two logarithmic axes, where a power law is a straight line."""
    drawing = Drawing(WIDTH, HEIGHT, title)
    drawing.text(16, 24, title, size=15, bold=True)
    x_axis = _Scale(
        [x for curve in curves for x, _ in curve.points],
        _LEFT,
        WIDTH - _RIGHT,
    )
    y_axis = _Scale(
        [y for curve in curves for _, y in curve.points],
        HEIGHT - _BOTTOM,
        _TOP,
    )
    for tick in x_axis.ticks:
        x = x_axis.pixel_of(tick)
        drawing.line(x, _TOP, x, HEIGHT - _BOTTOM, GRID_COLOUR)
        drawing.text(
            x, HEIGHT - _BOTTOM + 16, f"{tick:,g}", size=11, colour=MUTED_COLOUR, anchor="middle"
        )
    for tick in y_axis.ticks:
        y = y_axis.pixel_of(tick)
        drawing.line(_LEFT, y, WIDTH - _RIGHT, y, GRID_COLOUR)
        drawing.text(_LEFT - 6, y + 4, f"{tick:,g}", size=11, colour=MUTED_COLOUR, anchor="end")
    for curve_number, curve in enumerate(curves):
        colour = _COLOURS[curve_number % len(_COLOURS)]
        pixels = [(x_axis.pixel_of(x), y_axis.pixel_of(y)) for x, y in curve.points]
        drawing.path(pixels, colour, width=2)
        for x, y in pixels:
            drawing.dot(x, y, colour, radius=3)
        y = _TOP + 14 + 22 * curve_number
        drawing.dot(WIDTH - _RIGHT + 18, y - 4, colour)
        drawing.text(WIDTH - _RIGHT + 30, y, curve.name)
    drawing.text(
        (_LEFT + WIDTH - _RIGHT) / 2,
        HEIGHT - 14,
        axis_names[0],
        colour=MUTED_COLOUR,
        anchor="middle",
    )
    drawing.text(16, _TOP - 4, axis_names[1], colour=MUTED_COLOUR)
    return drawing.to_text()


class _Scale:
    """A logarithmic axis from one power of ten to another, drawn between two pixel positions."""

    def __init__(self, values: Sequence[float], first_pixel: float, last_pixel: float) -> None:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        self._low, self._high = low, max(high, low + 1)
        self._first_pixel, self._last_pixel = first_pixel, last_pixel

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self._low, self._high + 1)]

    def pixel_of(self, value: float) -> float:
        fraction = (math.log10(value) - self._low) / (self._high - self._low)
        return self._first_pixel + fraction * (self._last_pixel - self._first_pixel)
