"""The attribution of a row's score to its signals."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.model.angles import to_model_readings
from sensorwatch.common.model.decision import COMPONENTS, Decision, RarityTable
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.model.forest import score
from sensorwatch.common.model.tails import look_up_rarity
from sensorwatch.common.row_executor import RowExecutor, run_serially
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.features import compute_features
from sensorwatch.common.scoring.level_guard import deviation_rarity, guard_scores
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.residuals import repeat_allowance
from sensorwatch.common.scoring.score_combination import DRIFT_SCALE, SIGNAL
from sensorwatch.common.scoring.score_evidence import ScoreEvidence
from sensorwatch.common.scoring.status import STATUSES, Status

MIN_SCORE_DROP = 1e-9
"""Shares are computed from the signals' score drops only if the sum of the drops is above this
value."""
VALUES_PER_FOREST_CALL = 2**18
"""Approximate number of values per call of the forest; this limits the memory that a call needs."""

_SCORED = STATUSES.index(Status.SCORED)


def attribute_rows(
    detector: Detector,
    outcome: Outcome,
    rows: NDArray[np.int64],
    *,
    row_executor: RowExecutor = run_serially,
) -> NDArray[np.float64]:
    """Return each model signal's share of each row's score; shape (len(rows), signals).

    `rows`: positions of the rows in the outcome's readings. `row_executor`: runs the work. Each
    signal in turn is replaced by its expectation. The share of a signal is the resulting drop of
    the score, divided by the sum of all signals' drops; the shares of a row sum to 1. The
    expectation of a signal is computed from the previous rows and the row's other signals. With the
    plain plan, the expectation is the signal's median in training. If the score drops for none of
    the signals, the shares are proportional to the signals' outlyingness.

    If the level guard decided a row, the shares are proportional to the rarities of the signals'
    deviations from their reference levels. If one odd signal decided it, they are proportional to
    the rarities of the conditional residuals.
    """
    signals = len(detector.model_schema.signals)
    shares = np.empty((len(rows), signals))
    values_per_row = (signals + 1) * len(detector.plan.features)
    rows_per_call = max(VALUES_PER_FOREST_CALL // values_per_row, 1)

    def attribute(begin: int, end: int) -> None:
        for start in range(begin, end, rows_per_call):
            rows_of_call = slice(start, min(start + rows_per_call, end))
            _attribute(detector, outcome, rows[rows_of_call], shares[rows_of_call])

    row_executor(attribute, len(rows))
    return shares


def _attribute(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64], shares: NDArray[np.float64]
) -> None:
    """Write each signal's share of each row's score."""
    if detector.forecast is None or detector.decision is None:
        _attribute_without_forecast(detector, outcome, rows, shares)
    else:
        _attribute_with_forecast(
            detector, detector.forecast, detector.decision, outcome, rows, shares
        )


def _attribute_without_forecast(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64], shares: NDArray[np.float64]
) -> None:
    """Write each signal's share of the raw score; the expected value is the training median."""
    model_readings = to_model_readings(outcome.readings.take(rows), detector.schema)
    matrix = compute_features(model_readings, detector.plan)
    signals, ranges = shares.shape[1], detector.ranges
    variants = np.repeat(matrix[:, np.newaxis], signals + 1, axis=1)
    for column, feature in enumerate(detector.plan.features):
        if feature.signal >= 0:
            variants[:, feature.signal, column] = ranges.expected[feature.signal]
    variant_scores = score(detector.forest, variants.reshape(-1, matrix.shape[1]))
    width = ranges.high - ranges.low
    outlyingness = (model_readings.values - ranges.expected) / np.where(width > 0, width, 1.0)
    _write_shares(variant_scores.reshape(len(rows), signals + 1), outlyingness**2, shares)


def _attribute_with_forecast(
    detector: Detector,
    forecast: Forecast,
    decision: Decision,
    outcome: Outcome,
    rows: NDArray[np.int64],
    shares: NDArray[np.float64],
) -> None:
    """Write each signal's share of the sum of rarities; expectations are based on the forecast."""
    evidence: ScoreEvidence = outcome.detections.evidence
    is_scored = outcome.detections.status[rows] == _SCORED
    n, signals = shares.shape
    matrix = np.zeros((n, signals + 1, 2 * signals))
    component_scores = np.zeros((n, signals + 1, len(COMPONENTS)))
    outlyingness = np.empty((n, signals))
    _replace_each_signal(
        evidence.standardised[rows],
        evidence.expected[rows],
        evidence.drift[rows],
        evidence.repeats[rows],
        is_scored,
        forecast.whitening,
        forecast.signal_whitening,
        forecast.repeat_nats,
        matrix,
        component_scores,
        outlyingness,
    )
    # The forest score of the last variant, which is the row itself, is known.
    variant_scores = score(detector.forest, matrix[:, :signals].reshape(-1, 2 * signals))
    component_scores[:, :signals, 0] = variant_scores.reshape(n, signals)
    component_scores[:, signals, 0] = evidence.forest_score[rows]
    rarity_sums = np.empty((n, signals + 1))
    _sum_rarities(decision.tables, decision.weights, is_scored, component_scores, rarity_sums)
    _write_shares(rarity_sums, outlyingness, shares)
    _write_signal_shares(
        evidence.standardised[rows],
        evidence.expected[rows],
        is_scored,
        forecast.whitening,
        decision.tables,
        decision.weights,
        decision.signal_tables,
        rarity_sums,
        shares,
    )
    if detector.guard is not None:
        is_guard_score = is_decided_by_guard(detector, outcome, rows)
        _write_guard_shares(evidence.deviation[rows], detector.guard.table, is_guard_score, shares)


def is_decided_by_guard(
    detector: Detector, outcome: Outcome, rows: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return a mask (len(rows),) of the rows whose score comes from the level guard."""
    if detector.guard is None:
        return np.zeros(len(rows), dtype=np.bool_)
    detections = outcome.detections
    score_of_guard = guard_scores(detections.evidence.deviation[rows], detector.guard)
    is_scored = detections.status[rows] == _SCORED
    is_highest = (score_of_guard > 0.0) & (score_of_guard >= detections.raw_score[rows])
    return np.asarray(is_scored & is_highest)


@kernel
def _write_guard_shares(deviation, tables, is_decided, shares):  # type: ignore[no-untyped-def]
    """Write shares proportional to the rarities of the deviations, for the rows in `is_decided`."""
    for row in range(len(shares)):
        if is_decided[row]:
            for signal in range(shares.shape[1]):
                shares[row, signal] = deviation_rarity(deviation[row, signal], tables[signal])
            _normalise(shares[row])


@kernel
def _write_signal_shares(  # type: ignore[no-untyped-def]
    standardised, expected, is_scored, whitening, tables, weights, signal_tables, rarity_sums,
    shares,
):  # fmt: skip
    """Write shares proportional to the rarities of the conditional residuals.

    The shares of a row are written only if its score comes from the largest of these rarities, and
    not from the sum of the rarities of its components.
    """
    signals = shares.shape[1]
    whitened, rarity = np.empty(signals), np.empty(signals)
    for row in range(len(shares)):
        if not is_scored[row] or len(signal_tables) == 0:
            continue
        for i in range(signals):
            whitened[i] = 0.0
            for j in range(signals):
                whitened[i] += whitening[i, j] * (standardised[row, j] - expected[row, j])
        largest = 0.0
        for signal in range(signals):
            squares = 0.0
            for i in range(signals):
                squares += whitening[i, signal] * whitening[i, signal]
            conditional = _residual_excess(whitening, whitened, signal) * np.sqrt(squares)
            rarity[signal] = look_up_rarity(signal_tables[signal], abs(conditional))
            largest = max(largest, rarity[signal])
        signal_score = weights[SIGNAL] * look_up_rarity(tables[RarityTable.SIGNAL], largest)
        if signal_score > look_up_rarity(tables[RarityTable.RARITY_SUM], rarity_sums[row, -1]):
            for signal in range(signals):
                shares[row, signal] = rarity[signal]
            _normalise(shares[row])


# The kernel computes row by row in a fixed order, so that the bits of a row's results do not depend
# on other rows.
@kernel
def _replace_each_signal(  # type: ignore[no-untyped-def]
    standardised, expected, drift, repeats, is_scored, whitening, signal_whitening, repeat_nats,
    matrix, component_scores, outlyingness,
):  # fmt: skip
    """Write the forest's inputs and the component scores of each variant of each row.

    In variant i, signal i is replaced by its expectation. The last variant is the row itself.
    """
    signals = expected.shape[1]
    allowance = repeat_allowance(repeat_nats)
    whitened = np.empty(signals)
    for row in range(len(is_scored)):
        weights = whitening if is_scored[row] else signal_whitening
        for i in range(signals):
            whitened[i] = 0.0
            for j in range(signals):
                residual = standardised[row, j] - expected[row, j]
                whitened[i] += weights[i, j] * residual
            outlyingness[row, i] = whitened[i] ** 2 + (DRIFT_SCALE * drift[row, i]) ** 2
        for variant in range(signals + 1):
            excess, drift_excess = 0.0, 0.0
            if variant < signals:
                excess = _residual_excess(weights, whitened, variant)
                drift_excess = _residual_excess(weights, drift[row], variant)
            squares, largest_drift, longest_repeat = 0.0, 0.0, 0.0
            for i in range(signals):
                weight = weights[i, min(variant, signals - 1)]
                value = whitened[i] - excess * weight
                squares += value * value
                matrix[row, variant, signals + i] = standardised[row, i]
                if is_scored[row]:
                    matrix[row, variant, i] = value
                    largest_drift = max(largest_drift, abs(drift[row, i] - drift_excess * weight))
                    if i != variant:
                        longest_repeat = max(
                            longest_repeat, repeats[row, i] * repeat_nats[i] - allowance
                        )
            if variant < signals:
                matrix[row, variant, signals + variant] -= excess
            component_scores[row, variant, 1] = np.sqrt(squares)
            component_scores[row, variant, 2] = DRIFT_SCALE * largest_drift
            component_scores[row, variant, 3] = longest_repeat


@inlined_kernel
def _residual_excess(weights, whitened, signal):  # type: ignore[no-untyped-def]
    """Return a signal's residual minus its expectation given the other signals' residuals.

    For normally distributed residuals, the expectation is the conditional mean. The result is then
    the factor f for which `whitened - f * weights[:, signal]` has the smallest norm.
    """
    projection, squared_norm = 0.0, 0.0
    for i in range(len(whitened)):
        projection += weights[i, signal] * whitened[i]
        squared_norm += weights[i, signal] * weights[i, signal]
    return projection / squared_norm if squared_norm > 0 else 0.0


@kernel
def _sum_rarities(tables, weights, is_scored, component_scores, total):  # type: ignore[no-untyped-def]
    """Write the sum of the components' rarities of each variant of each row into `total`."""
    for row in range(len(is_scored)):
        for variant in range(component_scores.shape[1]):
            scores = component_scores[row, variant]
            if is_scored[row]:
                rarities = weights[0] * look_up_rarity(tables[RarityTable.FOREST], scores[0])
                rarities += weights[1] * look_up_rarity(tables[RarityTable.DISTANCE], scores[1])
                rarities += weights[2] * look_up_rarity(tables[RarityTable.DRIFT], scores[2])
                rarities += weights[3] * look_up_rarity(tables[RarityTable.STUCK], scores[3])
            else:
                rarities = look_up_rarity(tables[RarityTable.NO_MEMORY_FOREST], scores[0])
                rarities += look_up_rarity(tables[RarityTable.NO_MEMORY_DISTANCE], scores[1])
            total[row, variant] = rarities


# The kernel uses loops, because numba takes ten times as long to compile array expressions.
@kernel
def _write_shares(total, outlyingness, shares):  # type: ignore[no-untyped-def]
    """Write the share of each signal in the sum of its row's score drops.

    The drop of a signal is the score of the last variant minus the score of the signal's variant.
    If the score drops for none of the signals, the shares are proportional to `outlyingness`. If
    that is 0 for all signals, their shares are equal.
    """
    for row in range(len(shares)):
        _write_drops(total[row], shares[row])
        if _sum(shares[row]) <= MIN_SCORE_DROP:
            for signal in range(shares.shape[1]):
                shares[row, signal] = outlyingness[row, signal]
        if _sum(shares[row]) <= MIN_SCORE_DROP:
            shares[row] = 1.0
        _normalise(shares[row])


@inlined_kernel
def _normalise(shares):  # type: ignore[no-untyped-def]
    """Divide the shares of a row by their sum."""
    divisor = _sum(shares)
    for signal in range(len(shares)):
        shares[signal] /= divisor


@inlined_kernel
def _write_drops(scores, drops):  # type: ignore[no-untyped-def]
    """Write the last of `scores` minus each of the others, or 0 if the difference is negative."""
    for signal in range(len(drops)):
        drop = scores[-1] - scores[signal]
        drops[signal] = max(drop, 0.0)


@inlined_kernel
def _sum(values):  # type: ignore[no-untyped-def]
    total = 0.0
    for value in values:
        total += value
    return total
