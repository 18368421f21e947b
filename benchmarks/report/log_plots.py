"""Curves over logarithmic axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.svg import GRID, MUTED, OURS, PLAIN, PUBLISHED, Drawing

WIDTH, HEIGHT = 800.0, 460.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 60.0, 44.0, 210.0, 52.0
_COLOURS = (OURS, PLAIN, PUBLISHED, "#e8590c", "#2b8a3e")


@dataclass(frozen=True, slots=True)
class Curve:
    """A name, and points whose coordinates are all above 0."""

    name: str
    points: Sequence[tuple[float, float]]


def log_log_plot(title: str, curves_to_draw: Sequence[Curve], *, axes: tuple[str, str]) -> str:
    """Draw curves on two logarithmic axes; equal slopes mean equal powers."""
    drawing = Drawing(WIDTH, HEIGHT, title)
    drawing.text(16, 24, title, size=15, bold=True)
    x_axis = _Scale(
        [x for curve_of_points in curves_to_draw for x, _ in curve_of_points.points],
        _LEFT,
        WIDTH - _RIGHT,
    )
    y_axis = _Scale(
        [y for curve_of_points in curves_to_draw for _, y in curve_of_points.points],
        HEIGHT - _BOTTOM,
        _TOP,
    )
    for tick in x_axis.ticks:
        x = x_axis.pixel_of(tick)
        drawing.line(x, _TOP, x, HEIGHT - _BOTTOM, GRID)
        drawing.text(x, HEIGHT - _BOTTOM + 16, f"{tick:,g}", size=11, colour=MUTED, anchor="middle")
    for tick in y_axis.ticks:
        y = y_axis.pixel_of(tick)
        drawing.line(_LEFT, y, WIDTH - _RIGHT, y, GRID)
        drawing.text(_LEFT - 6, y + 4, f"{tick:,g}", size=11, colour=MUTED, anchor="end")
    for number, curve in enumerate(curves_to_draw):
        colour = _COLOURS[number % len(_COLOURS)]
        pixels = [(x_axis.pixel_of(x), y_axis.pixel_of(y)) for x, y in curve.points]
        drawing.path(pixels, colour, width=2)
        for x, y in pixels:
            drawing.dot(x, y, colour, radius=3)
        y = _TOP + 14 + 22 * number
        drawing.dot(WIDTH - _RIGHT + 18, y - 4, colour)
        drawing.text(WIDTH - _RIGHT + 30, y, curve.name)
    drawing.text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 14, axes[0], colour=MUTED, anchor="middle")
    drawing.text(16, _TOP - 4, axes[1], colour=MUTED)
    return drawing.to_text()


class _Scale:
    """A logarithmic axis over whole powers of ten, between two places on the paper."""

    def __init__(self, values: Sequence[float], first: float, last: float) -> None:
        low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
        self._low, self._high = low, max(high, low + 1)
        self._first, self._last = first, last

    @property
    def ticks(self) -> list[float]:
        return [10.0**power for power in range(self._low, self._high + 1)]

    def pixel_of(self, value: float) -> float:
        fraction = (math.log10(value) - self._low) / (self._high - self._low)
        return self._first + fraction * (self._last - self._first)
