"""How much of what is strange about a row each signal brings in."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel, part
from sensorwatch.common.model.decision import COMPONENTS, Decision, Table
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.model.forest import score
from sensorwatch.common.model.tails import look_up
from sensorwatch.common.scoring.decide import DRIFT_SCALE
from sensorwatch.common.scoring.detections import Evidence
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.features import features
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.residuals import allowance
from sensorwatch.common.scoring.status import STATUSES, Status

LEAST_DROP = 1e-9
"""What all signals' drops together must exceed to tell them apart."""
CALL_VALUES = 2**18
"""A call of the forest gets about so many values, so that many rows take little memory."""

_SCORED = STATUSES.index(Status.SCORED)


def attributions(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return (len(rows), signals) shares, each row's sum 1.

    `rows`: positions among the outcome's readings. One signal after the other is replaced by its
    expectation, in all that is looked at, and what the row's score drops by is that signal's. The
    expectation is the one from the rows before and from the row's other signals: two that move
    together bear witness for each other. Where nothing drops, how far out each signal is decides.
    """
    signals = len(detector.schema.signals)
    found = np.empty((len(rows), signals))
    at_once = max(CALL_VALUES // ((signals + 1) * len(detector.plan.features)), 1)
    for start in range(0, len(rows), at_once):
        part = slice(start, start + at_once)
        if detector.forecast is None or detector.decision is None:
            _without_forecast(detector, outcome, rows[part], found[part])
        else:
            _with_forecast(detector, detector.forecast, detector.decision, outcome, rows[part],
                           found[part])  # fmt: skip
    return found


def _without_forecast(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64], found: NDArray[np.float64]
) -> None:
    """Replace each signal by its median in training; the raw score drops."""
    matrix = features(outcome.readings.take(rows), detector.plan)
    signals, ranges = found.shape[1], detector.ranges
    replaced = np.repeat(matrix[:, np.newaxis], signals + 1, axis=1)
    for column, feature in enumerate(detector.plan.features):
        if feature.signal >= 0:
            replaced[:, feature.signal, column] = ranges.expected[feature.signal]
    total = score(detector.forest, replaced.reshape(-1, matrix.shape[1]))
    width = ranges.high - ranges.low
    outlying = (outcome.readings.values[rows] - ranges.expected) / np.where(width > 0, width, 1.0)
    _shares(total.reshape(len(rows), signals + 1), outlying**2, found)


def _with_forecast(
    detector: Detector,
    forecast: Forecast,
    decision: Decision,
    outcome: Outcome,
    rows: NDArray[np.int64],
    found: NDArray[np.float64],
) -> None:
    """Replace each signal's residual, smoothed residual and repeats; the rarities' sum drops."""
    evidence: Evidence = outcome.detections.evidence
    scored = outcome.detections.status[rows] == _SCORED
    n, signals = found.shape
    matrix = np.zeros((n, signals + 1, 2 * signals))
    looks = np.zeros((n, signals + 1, len(COMPONENTS)))
    outlying = np.empty((n, signals))
    _replace(
        evidence.standard[rows],
        evidence.expected[rows],
        evidence.drift[rows],
        evidence.runs[rows],
        scored,
        forecast.whitening,
        forecast.ground,
        forecast.surprise,
        matrix,
        looks,
        outlying,
    )
    looks[:, :, 0] = score(detector.forest, matrix.reshape(-1, 2 * signals)).reshape(n, -1)
    total = np.empty((n, signals + 1))
    _add_up(decision.tables, decision.weights, scored, looks, total)
    _shares(total, outlying, found)


# Each row by itself in one fixed order, so that its bits do not depend on the rows beside it.
@kernel
def _replace(  # type: ignore[no-untyped-def]
    standard, expected, drift, runs, scored, whitening, ground, surprise, matrix, looks, outlying,
):  # fmt: skip
    """Write what is looked at, each signal replaced in turn; in the last place none is."""
    signals = expected.shape[1]
    allowed = allowance(surprise)
    white = np.empty(signals)
    for row in range(len(scored)):
        weights = whitening if scored[row] else ground
        for one in range(signals):
            white[one] = 0.0
            for other in range(signals):
                left = standard[row, other] - expected[row, other]
                white[one] += weights[one, other] * left
            outlying[row, one] = white[one] ** 2 + (DRIFT_SCALE * drift[row, one]) ** 2
        for place in range(signals + 1):
            without, lately = 0.0, 0.0
            if place < signals:
                without = _excess(weights, white, place)
                lately = _excess(weights, drift[row], place)
            squares, largest, longest = 0.0, 0.0, 0.0
            for one in range(signals):
                weight = weights[one, min(place, signals - 1)]
                value = white[one] - without * weight
                squares += value * value
                matrix[row, place, signals + one] = standard[row, one]
                if scored[row]:
                    matrix[row, place, one] = value
                    largest = max(largest, abs(drift[row, one] - lately * weight))
                    if one != place:
                        longest = max(longest, runs[row, one] * surprise[one] - allowed)
            if place < signals:
                matrix[row, place, signals + place] -= without
            looks[row, place, 1] = np.sqrt(squares)
            looks[row, place, 2] = DRIFT_SCALE * largest
            looks[row, place, 3] = longest


@part
def _excess(weights, white, signal):  # type: ignore[no-untyped-def]
    """Return by how much a residual exceeds what the others let expect (normally distributed).

    That is what brings the whitened residuals, less so much of the signal's column, nearest to 0.
    """
    along, length = 0.0, 0.0
    for one in range(len(white)):
        along += weights[one, signal] * white[one]
        length += weights[one, signal] * weights[one, signal]
    return along / length if length > 0 else 0.0


@kernel
def _add_up(tables, weights, scored, looks, total):  # type: ignore[no-untyped-def]
    for row in range(len(scored)):
        for place in range(looks.shape[1]):
            look = looks[row, place]
            if scored[row]:
                found = weights[0] * look_up(tables[Table.FOREST], look[0])
                found += weights[1] * look_up(tables[Table.DISTANCE], look[1])
                found += weights[2] * look_up(tables[Table.DRIFT], look[2])
                found += weights[3] * look_up(tables[Table.STUCK], look[3])
            else:
                found = look_up(tables[Table.PLAIN_FOREST], look[0])
                found += look_up(tables[Table.PLAIN_DISTANCE], look[1])
            total[row, place] = found


@kernel
def _shares(total, outlying, found):  # type: ignore[no-untyped-def]
    """Write shares of the drops from the last place, or of `outlying`, or all alike."""
    signals = found.shape[1]
    for row in range(len(found)):
        found[row] = np.maximum(total[row, signals] - total[row, :signals], 0.0)
        if np.sum(found[row]) <= LEAST_DROP:
            found[row] = outlying[row]
        if np.sum(found[row]) <= LEAST_DROP:
            found[row] = 1.0
        found[row] /= np.sum(found[row])
