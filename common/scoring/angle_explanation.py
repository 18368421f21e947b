"""The explanation of angles: expected angles from the expectations of their sines and cosines."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.angles import model_positions, to_angle
from sensorwatch.common.rows.field_declarations import NumericColumn


class Explanation(NamedTuple):
    """The actual value, the expected value and the share of the score, by row and signal."""

    actual: NDArray[np.float64]
    """Shape (n, declared signals)."""
    expected: NDArray[np.float64]
    """This and the following arrays: shape (n, signals of the model or declared signals)."""
    low: NDArray[np.float64]
    """Lower end of the expected band."""
    high: NDArray[np.float64]
    """Upper end of the expected band."""
    shares: NDArray[np.float64]
    """Share of the row's score."""
    held: NDArray[np.bool_]
    """Whether the value was missing and was imputed."""


def explain_angles(explanation: Explanation, signals: tuple[NumericColumn, ...]) -> Explanation:
    """Return the explanation with one column for each declared signal.

    The share of an angle is the sum of the shares of its sine and its cosine. The expected value
    and the band are on the same turn as the actual value, so that they can be compared as numbers.
    So `low` can be below 0, and `high` can be above `wrap`; see `on_first_turn`.
    """
    positions = model_positions(signals)
    declared_signals = Explanation(
        actual=explanation.actual,
        expected=explanation.expected[:, positions],
        low=explanation.low[:, positions],
        high=explanation.high[:, positions],
        shares=explanation.shares[:, positions],
        held=explanation.held[:, positions],
    )
    for signal, (column, first) in enumerate(zip(signals, positions, strict=True)):
        if column.wrap is None:
            continue
        declared_signals.shares[:, signal] += explanation.shares[:, first + 1]
        sine_and_cosine = slice(first, first + 2)
        bands = zip(
            explanation.expected[:, sine_and_cosine].tolist(),
            explanation.low[:, sine_and_cosine].tolist(),
            explanation.high[:, sine_and_cosine].tolist(),
            strict=True,
        )
        for row, (expected, low, high) in enumerate(bands):
            angle = to_angle(expected[0], expected[1], column.wrap)
            half_band = _half_band(expected, low, high) * column.wrap
            turns = round((declared_signals.actual[row, signal] - angle) / column.wrap)
            angle += turns * column.wrap
            declared_signals.expected[row, signal] = angle
            declared_signals.low[row, signal] = angle - half_band
            declared_signals.high[row, signal] = angle + half_band
    return declared_signals


def on_first_turn(explanation: Explanation, signals: tuple[NumericColumn, ...]) -> Explanation:
    """Return the explanation with all expected angles and band limits between 0 and `wrap`.

    If the band contains the angle 0, `low` is above `high`. If the band is the full circle, it is 0
    to `wrap`.
    """
    columns = [column.copy() for column in explanation[1:4]]
    for signal, column in enumerate(signals):
        if column.wrap is None:
            continue
        is_circle = explanation.high[:, signal] - explanation.low[:, signal] >= column.wrap
        for values in columns:
            values[:, signal] %= column.wrap
        columns[1][is_circle, signal] = 0.0
        columns[2][is_circle, signal] = column.wrap
    return explanation._replace(expected=columns[0], low=columns[1], high=columns[2])


def _half_band(expected: list[float], low: list[float], high: list[float]) -> float:
    """Return half the width of an angle's band, in turns, at most half a turn.

    `expected`, `low`, `high`: the values of the sine, then of the cosine. The widths of the two
    bands are projected on the tangent of the circle at the expected angle.
    """
    sine, cosine = expected
    sine_width, cosine_width = (
        max(upper - middle, middle - lower)
        for lower, middle, upper in zip(low, expected, high, strict=True)
    )
    squared_radius = sine * sine + cosine * cosine
    if squared_radius == 0.0:
        return 0.5
    width = math.hypot(cosine * sine_width, sine * cosine_width) / squared_radius
    return min(width / math.tau, 0.5)
