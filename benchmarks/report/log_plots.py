"""Plots with one or two logarithmic axes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from sensorwatch.common.svg import (
    GRID_COLOUR,
    MUTED_COLOUR,
    OUR_COLOUR,
    PLAIN_COLOUR,
    PUBLISHED_COLOUR,
    Drawing,
)

WIDTH, HEIGHT = 800.0, 460.0
_LEFT, _TOP, _RIGHT, _BOTTOM = 60.0, 44.0, 210.0, 52.0
_COLOURS = (
    OUR_COLOUR,
    PLAIN_COLOUR,
    PUBLISHED_COLOUR,
    "#e8590c",
    "#2b8a3e",
    "#c2255c",
    "#5f3dc4",
    "#868e96",
)


@dataclass(frozen=True, slots=True)
class Curve:
    """A named series of points; coordinates on a logarithmic axis are positive."""

    name: str
    points: Sequence[tuple[float, float]]


def log_log_plot(title: str, curves: Sequence[Curve], *, axis_names: tuple[str, str]) -> str:
    """Return a plot of curves on two logarithmic axes, where a power law is a straight line."""
    y_axis = _LogScale([y for curve in curves for _, y in curve.points], HEIGHT - _BOTTOM, _TOP)
    return _plot(title, curves, axis_names, _x_axis(curves), y_axis)


def log_linear_plot(
    title: str, curves: Sequence[Curve], *, axis_names: tuple[str, str], top: float
) -> str:
    """Return a plot of curves with a logarithmic x axis, and a y axis from 0 to `top`."""
    y_axis = _LinearScale(top, HEIGHT - _BOTTOM, _TOP)
    return _plot(title, curves, axis_names, _x_axis(curves), y_axis)


class _Scale(Protocol):
    """An axis that is drawn between two pixel positions."""

    @property
    def ticks(self) -> list[float]: ...

    def pixel_of(self, value: float) -> float: ...


def _x_axis(curves: Sequence[Curve]) -> "_LogScale":
    return _LogScale([x for curve in curves for x, _ in curve.points], _LEFT, WIDTH - _RIGHT)


def _plot(
    title: str,
    curves: Sequence[Curve],
    axis_names: tuple[str, str],
    x_axis: _Scale,
    y_axis: _Scale,
) -> str:
    drawing = Drawing(WIDTH, HEIGHT, title)
    drawing.text(16, 24, title, size=15, bold=True)
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


class _LogScale:
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


@dataclass(frozen=True, slots=True)
class _LinearScale:
    """A linear axis from 0 to `top`, drawn between two pixel positions."""

    top: float
    first_pixel: float
    last_pixel: float

    @property
    def ticks(self) -> list[float]:
        return [self.top * fifth / 5 for fifth in range(6)]

    def pixel_of(self, value: float) -> float:
        return self.first_pixel + value / self.top * (self.last_pixel - self.first_pixel)
