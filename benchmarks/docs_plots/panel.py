"""A panel with axes on a drawing, in the data's own units."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from benchmarks.report.svg import BACKGROUND, MUTED, Drawing

WIDTH = 800.0
LEFT, RIGHT = 64.0, 20.0
ALARM, BAND, MEASURED = "#c92a2a", "#c5e5ec", "#52606d"

Numbers = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Panel:
    """A part of a drawing, as wide as it is, between two heights in pixels."""

    drawing: Drawing
    top: float
    bottom: float
    x: tuple[float, float]
    """What its left and right ends stand for."""
    y: tuple[float, float]
    """What its lower and upper ends stand for."""

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel of a place; what lies above or below is put on the edge."""
        low, high = self.y
        height = (min(max(y, low), high) - low) / (high - low)
        x_pixel = (x - self.x[0]) / (self.x[1] - self.x[0])
        plot_width = self.drawing.width - LEFT - RIGHT
        return LEFT + plot_width * x_pixel, self.bottom - (self.bottom - self.top) * height

    def axes(
        self, *, x: Iterable[float], y: Iterable[float], axis_names: tuple[str, str], unit: str = ""
    ) -> None:
        """Draw the grid with its ticks, and what the axes mean; `unit` follows each x tick."""
        left, right = self.at(self.x[0], 0)[0], self.at(self.x[1], 0)[0]
        for tick in y:
            height = self.at(0, tick)[1]
            self.drawing.line(left, height, right, height)
            self.drawing.text(
                left - 8, height + 4, f"{tick:g}", size=11, colour=MUTED, anchor="end"
            )
        for tick in x:
            x_pixel = self.at(tick, 0)[0]
            self.drawing.line(x_pixel, self.top, x_pixel, self.bottom)
            self.drawing.text(
                x_pixel, self.bottom + 16, f"{tick:g}{unit}", size=11, colour=MUTED, anchor="middle"
            )
        middle = (left + right) / 2
        self.drawing.text(middle, self.bottom + 34, axis_names[0], colour=MUTED, anchor="middle")
        self.drawing.text(left, self.top - 8, axis_names[1], colour=MUTED)

    def shade(self, first: float, last: float, fill: str = BACKGROUND) -> None:
        """Fill the panel's height from one x to another."""
        left, right = self.at(first, 0)[0], self.at(last, 0)[0]
        self.drawing.rect(left, self.top, right - left, self.bottom - self.top, fill)

    def line(self, y: Numbers, stroke: str, *, width: float = 1) -> None:
        """Draw a value for each x from 0 on."""
        points = (self.at(x, float(value)) for x, value in enumerate(y))
        self.drawing.path(points, stroke, width=width)

    def band(self, low: Numbers, high: Numbers, fill: str = BAND) -> None:
        """Fill between two lines."""
        above = [self.at(x, float(value)) for x, value in enumerate(high)]
        below = [self.at(x, float(value)) for x, value in enumerate(low)]
        self.drawing.area([*above, *reversed(below)], fill)

    def level(self, y: float, stroke: str) -> None:
        """Draw a dashed line across."""
        (left, height), (right, _) = self.at(self.x[0], y), self.at(self.x[1], y)
        self.drawing.line(left, height, right, height, stroke, dashes="5 4")

    def dots(self, rows: Iterable[int], y: Numbers, colour: str, *, radius: float = 3.5) -> None:
        """Mark some of the values."""
        for row in rows:
            self.drawing.dot(*self.at(row, float(y[row])), colour, radius=radius)


def titled_drawing(title: str, height: float) -> Drawing:
    """Return an empty drawing under a title."""
    drawing = Drawing(WIDTH, height, title)
    drawing.text(16, 26, title, size=15, bold=True)
    return drawing


def legend(drawing: Drawing, y: float, colour_names: Sequence[tuple[str, str]]) -> None:
    """Explain colours in a line of pairs of colour and name."""
    x = LEFT
    for colour, name in colour_names:
        drawing.rect(x, y - 9, 14, 10, colour, radius=2)
        drawing.text(x + 20, y, name, size=11.5, colour=MUTED)
        x += 42 + 6.2 * len(name)


def true_ranges(rows: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return first and end of each stretch that is true."""
    edges = np.flatnonzero(np.diff(np.concatenate(([False], rows, [False])).astype(np.int8)))
    return [(int(first), int(end)) for first, end in zip(edges[::2], edges[1::2], strict=True)]
