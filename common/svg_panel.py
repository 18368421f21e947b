"""A plot area with axes, whose methods take positions as data values, not as pixels."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.svg import BACKGROUND_COLOUR, MUTED_COLOUR, Drawing

WIDTH = 800.0
LEFT, RIGHT = 64.0, 20.0
ALARM_COLOUR, BAND_COLOUR, MEASURED_COLOUR = "#c92a2a", "#c5e5ec", "#52606d"

Numbers = Sequence[float] | NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Panel:
    """A plot area as wide as its drawing, from the pixel row `top` to the pixel row `bottom`."""

    drawing: Drawing
    top: float
    bottom: float
    x: tuple[float, float]
    """Data values at the left and the right end."""
    y: tuple[float, float]
    """Data values at the lower and the upper end."""

    def pixel(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixel of a data point; a point above or below the panel moves to its edge."""
        low, high = self.y
        height = (min(max(y, low), high) - low) / (high - low)
        x_pixel = (x - self.x[0]) / (self.x[1] - self.x[0])
        plot_width = self.drawing.width - LEFT - RIGHT
        return LEFT + plot_width * x_pixel, self.bottom - (self.bottom - self.top) * height

    def axes(
        self, *, x: Iterable[float], y: Iterable[float], axis_names: tuple[str, str], unit: str = ""
    ) -> None:
        """Draw grid lines, ticks and axis names; `unit` is written after each x tick."""
        left, right = self.pixel(self.x[0], 0)[0], self.pixel(self.x[1], 0)[0]
        for tick in y:
            height = self.pixel(0, tick)[1]
            self.drawing.line(left, height, right, height)
            self.drawing.text(
                left - 8, height + 4, f"{tick:g}", size=11, colour=MUTED_COLOUR, anchor="end"
            )
        for tick in x:
            x_pixel = self.pixel(tick, 0)[0]
            self.drawing.line(x_pixel, self.top, x_pixel, self.bottom)
            self.drawing.text(
                x_pixel,
                self.bottom + 16,
                f"{tick:g}{unit}",
                size=11,
                colour=MUTED_COLOUR,
                anchor="middle",
            )
        middle = (left + right) / 2
        self.drawing.text(
            middle, self.bottom + 34, axis_names[0], colour=MUTED_COLOUR, anchor="middle"
        )
        self.drawing.text(left, self.top - 8, axis_names[1], colour=MUTED_COLOUR)

    def shade(self, first: float, last: float, fill: str = BACKGROUND_COLOUR) -> None:
        """Fill the panel from x value `first` to x value `last`, over its full height."""
        left, right = self.pixel(first, 0)[0], self.pixel(last, 0)[0]
        self.drawing.rect(left, self.top, right - left, self.bottom - self.top, fill)

    def line(self, y: Numbers, stroke: str, *, width: float = 1) -> None:
        """Draw a line through the values `y`; the x of each point is the index of its value."""
        points = (self.pixel(x, float(value)) for x, value in enumerate(y))
        self.drawing.path(points, stroke, width=width)

    def band(self, low: Numbers, high: Numbers, fill: str = BAND_COLOUR, *, first: int = 0) -> None:
        """Fill the area between the lines through `low` and `high`; their first x is `first`."""
        high_points = [self.pixel(x, float(value)) for x, value in enumerate(high, first)]
        low_points = [self.pixel(x, float(value)) for x, value in enumerate(low, first)]
        self.drawing.area([*high_points, *reversed(low_points)], fill)

    def level(self, y: float, stroke: str) -> None:
        """Draw a dashed horizontal line at `y`."""
        (left, height), (right, _) = self.pixel(self.x[0], y), self.pixel(self.x[1], y)
        self.drawing.line(left, height, right, height, stroke, dashes="5 4")

    def dots(self, rows: Iterable[int], y: Numbers, colour: str, *, radius: float = 3.5) -> None:
        """Draw a dot at x = row and y = `y[row]` for each row of `rows`."""
        for row in rows:
            self.drawing.dot(*self.pixel(row, float(y[row])), colour, radius=radius)


def titled_drawing(title: str, height: float) -> Drawing:
    """Return a new drawing with only a title on it."""
    drawing = Drawing(WIDTH, height, title)
    drawing.text(16, 26, title, size=15, bold=True)
    return drawing


def legend(drawing: Drawing, y: float, colours_and_names: Sequence[tuple[str, str]]) -> None:
    """Draw a legend from pairs (colour, name)."""
    x = LEFT
    for colour, name in colours_and_names:
        drawing.rect(x, y - 9, 14, 10, colour, radius=2)
        drawing.text(x + 20, y, name, size=11.5, colour=MUTED_COLOUR)
        x += 42 + 6.2 * len(name)


def true_ranges(rows: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return the first index and the end index (exclusive) of each run of true values."""
    run_edges = np.flatnonzero(np.diff(np.concatenate(([False], rows, [False])).astype(np.int8)))
    return [
        (int(first), int(end)) for first, end in zip(run_edges[::2], run_edges[1::2], strict=True)
    ]
