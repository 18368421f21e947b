"""Curves over logarithmic axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.report.svg import GRID, OURS, PLAIN, PUBLISHED, SOFT, Drawing

WIDTH, HEIGHT = 800.0, 460.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 60.0, 44.0, 210.0, 52.0
_COLOURS = (OURS, PLAIN, PUBLISHED, "#e8590c", "#2b8a3e")


@dataclass(frozen=True, slots=True)
class Curve:
    """A name, and points whose coordinates are all above 0."""

    name: str
    points: Sequence[tuple[float, float]]


def curves(title: str, found: Sequence[Curve], *, axes: tuple[str, str]) -> str:
    """Draw curves on two logarithmic axes; equal slopes mean equal powers."""
    drawing = Drawing(WIDTH, HEIGHT, title)
    drawing.text(16, 24, title, size=15, bold=True)
    across = _Scale([x for one in found for x, _ in one.points], _LEFT, WIDTH - _RIGHT)
    up = _Scale([y for one in found for _, y in one.points], HEIGHT - _BOTTOM, _TOP)
    for tick in across.ticks:
        x = across.place(tick)
        drawing.line(x, _TOP, x, HEIGHT - _BOTTOM, GRID)
        drawing.text(x, HEIGHT - _BOTTOM + 16, f"{tick:,g}", size=11, colour=SOFT, anchor="middle")
    for tick in up.ticks:
        y = up.place(tick)
        drawing.line(_LEFT, y, WIDTH - _RIGHT, y, GRID)
        drawing.text(_LEFT - 6, y + 4, f"{tick:,g}", size=11, colour=SOFT, anchor="end")
    for number, curve in enumerate(found):
        colour = _COLOURS[number % len(_COLOURS)]
        places = [(across.place(x), up.place(y)) for x, y in curve.points]
        drawing.path(places, colour, width=2)
        for x, y in places:
            drawing.dot(x, y, colour, radius=3)
        y = _TOP + 14 + 22 * number
        drawing.dot(WIDTH - _RIGHT + 18, y - 4, colour)
        drawing.text(WIDTH - _RIGHT + 30, y, curve.name)
    drawing.text((_LEFT + WIDTH - _RIGHT) / 2, HEIGHT - 14, axes[0], colour=SOFT, anchor="middle")
    drawing.text(16, _TOP - 4, axes[1], colour=SOFT)
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

    def place(self, value: float) -> float:
        share = (math.log10(value) - self._low) / (self._high - self._low)
        return self._first + share * (self._last - self._first)
