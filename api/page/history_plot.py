"""The plot of a signal over many hours, as SVG without styles or scripts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from sensorwatch.api.page.score_history import SignalHistory
from sensorwatch.api.page.signal_plots import (
    Scale,
    TimelinePoint,
    circle,
    limited,
    rectangle,
    scale_of,
    severity_class,
    svg_of,
)

WIDTH, HEIGHT = 720.0, 150.0
_TOP, _BOTTOM = 8.0, HEIGHT - 14.0
_MARK_TOP, _MARK_HEIGHT, _MIN_MARK_WIDTH = HEIGHT - 7.0, 5.0, 2.0
_GAP_FACTOR = 3
"""A line is interrupted where no rows arrived for this number of long but usual distances."""
_USUAL_SHARE = 0.8
"""This share of the distances is usual. Distances differ if micro-batches differ in length."""


@dataclass(frozen=True, slots=True)
class AlarmMark:
    """A time with an alarm, in seconds since 1970 UTC."""

    begin: float
    end: float
    severity: str


def history_plot(
    history: SignalHistory,
    window: tuple[float, float],
    points: Sequence[TimelinePoint],
    marks: Sequence[AlarmMark],
) -> Markup:
    """Return a plot of a signal with at least one time step.

    It shows the expected band, the lowest to highest values, the mean, values of alarms as dots,
    and the times of alarms as marks below.
    """
    x_scale = Scale(*window, 0.0, WIDTH)
    columns = history.columns
    limits = [columns[name] for name in ("minimum", "maximum", "expected_low", "expected_high")]
    values = [float(value) for column in limits for value in column[np.isfinite(column)]]
    y_scale = scale_of([*values, *(point.value for point in points)], _BOTTOM, _TOP)
    shapes = [
        *_areas("band", history, ("expected_low", "expected_high"), x_scale, y_scale),
        *_areas("values", history, ("minimum", "maximum"), x_scale, y_scale),
        *_lines("expected", history, "expected", x_scale, y_scale),
        *_lines("trace", history, "mean", x_scale, y_scale),
    ]
    shapes += [_mark(mark, x_scale) for mark in marks if mark.end > window[0]]
    shapes += [
        circle(
            f"point {severity_class(point.severity)}",
            x_scale.pixel(point.seconds),
            y_scale.pixel(point.value),
            3,
        )
        for point in points
    ]
    return svg_of(WIDTH, HEIGHT, "history-plot", shapes)


def _mark(mark: AlarmMark, x_scale: Scale) -> str:
    left = max(x_scale.pixel(mark.begin), 0.0)
    width = max(x_scale.pixel(mark.end) - left, _MIN_MARK_WIDTH)
    left = min(left, WIDTH - _MIN_MARK_WIDTH)
    return rectangle(
        f"mark {severity_class(mark.severity)}",
        left,
        _MARK_TOP,
        min(width, WIDTH - left),
        _MARK_HEIGHT,
    )


def _areas(
    class_name: str, history: SignalHistory, names: tuple[str, str], x_scale: Scale, y_scale: Scale
) -> Iterator[str]:
    low, high = (history.columns[name] for name in names)
    for run in _runs(history.begins, np.isfinite(low) & np.isfinite(high)):
        lower = _pixels(history.begins[run], low[run], x_scale, y_scale)
        upper = _pixels(history.begins[run], high[run], x_scale, y_scale)
        corners = " ".join([*lower, *reversed(upper)])
        yield f'<polygon class="{class_name}" points="{corners}"/>'


def _lines(
    class_name: str, history: SignalHistory, name: str, x_scale: Scale, y_scale: Scale
) -> Iterator[str]:
    column = history.columns[name]
    for run in _runs(history.begins, np.isfinite(column)):
        corners = " ".join(_pixels(history.begins[run], column[run], x_scale, y_scale))
        yield f'<polyline class="{class_name}" points="{corners}"/>'


def _runs(begins: NDArray[np.int64], is_known: NDArray[np.bool_]) -> list[NDArray[np.int64]]:
    """Return the positions of known values, divided at gaps."""
    positions = np.flatnonzero(is_known)
    if len(positions) < 2:
        return [positions] if len(positions) else []
    distances = np.diff(begins[positions])
    is_gap = distances > _GAP_FACTOR * np.quantile(distances, _USUAL_SHARE, method="lower")
    return np.split(positions, np.flatnonzero(is_gap) + 1)


def _pixels(
    begins: NDArray[np.int64], values: NDArray[np.float32], x_scale: Scale, y_scale: Scale
) -> list[str]:
    corners = [
        f"{x_scale.pixel(begin):.1f},{y_scale.pixel(limited(value)):.1f}"
        for begin, value in zip(begins.tolist(), values.tolist(), strict=True)
    ]
    # A single value gets a short line, so that it is visible.
    if len(corners) == 1:
        x, _, y = corners[0].partition(",")
        corners.append(f"{float(x) + _MIN_MARK_WIDTH:.1f},{y}")
    return corners
