"""From what is strange about a row to a decision: rarities added up, smoothed, and held on to."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel, part
from sensorwatch.common.model.decision import COMPONENTS, Decision, Table
from sensorwatch.common.model.tails import look_up
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import (
    LONG_QUIET,
    OWN_SHARE,
    OWN_START,
    USUAL,
    Real,
    Whole,
)
from sensorwatch.common.scoring.recall import Recalled
from sensorwatch.common.scoring.residuals import Residuals
from sensorwatch.common.scoring.status import STATUSES, Status

SMOOTHING = 0.2
"""Weight of the newest row in smoothed residuals and scores: a span of nine rows."""
DRIFT_CLIP = 4.0
"""One row moves a smoothed residual as if it were at most so far out."""
SMOOTHED_MOST = 12.0
"""Nats that one row puts into the smoothed score at the most: a single spike must not hold on."""
HOLD = 0.8
"""An alarm holds on while the score stays above this share of the threshold."""
OWN_ROWS = 1000.0
"""Rows in which a sensor's own tail adapts; as many as its location takes."""
OWN_IN_ALARM = 0.1
"""A row inside an alarm counts so little: a fault must not become usual soon."""
OWN_SCALES = (0.5, 20.0)
OWN_CLIP = 3.0
OWN_LEAST = 0.3
"""A tail's scale stays within OWN_SCALES and follows excesses up to OWN_CLIP scales; a tail never
begins below this share of where a clean one does."""
DRIFT_SCALE = float(np.sqrt((2.0 - SMOOTHING) / SMOOTHING))
"""A smoothed residual has a spread of one over this where rows are independent."""


@dataclass(frozen=True, slots=True)
class Judged:
    """What was decided of n rows."""

    raw_score: NDArray[np.float64]
    """(n,) nats."""
    is_anomaly: NDArray[np.bool_]
    novelty: NDArray[np.float64]
    """(n,) the raw score, or inside an alarm what of it exceeds the alarm's highest so far."""
    components: NDArray[np.float64]
    """(n, len(COMPONENTS)) rarity of each component in nats; 0 of rows without memory."""
    drift: NDArray[np.float64]
    """(n, signals) smoothed whitened residuals, this row included."""


def decide(
    decision: Decision,
    recalled: Recalled,
    forest_score: NDArray[np.float64],
    left: Residuals,
    memory: Memory,
    *,
    threshold: float,
) -> Judged:
    """Judge row after row, each from what its sensor's rows before left in the memory.

    `forest_score` (n,). `threshold`: nats above which an alarm begins.
    """
    n, signals = left.white.shape
    found = Judged(
        raw_score=np.empty(n),
        is_anomaly=np.empty(n, dtype=np.bool_),
        novelty=np.empty(n),
        components=np.zeros((n, len(COMPONENTS))),
        drift=np.zeros((n, signals)),
    )
    _decide(
        memory.reals,
        memory.wholes,
        memory.layout.drift,
        decision.tables,
        decision.weights,
        threshold,
        decision.refractory_rows,
        recalled.slots,
        recalled.fresh,
        recalled.gap,
        recalled.status,
        forest_score,
        left.distance,
        left.stuck,
        left.white,
        found.raw_score,
        found.is_anomaly,
        found.novelty,
        found.components,
        found.drift,
    )
    return found


_CLIPPED_MEAN = 1.0 - float(np.exp(-OWN_CLIP))
_SCORED, _LATE = STATUSES.index(Status.SCORED), STATUSES.index(Status.LATE)


@kernel
def _decide(  # type: ignore[no-untyped-def]
    reals, wholes, at_drift, tables, weights, threshold, refractory, slots, fresh, gaps, statuses,
    forest_score, distance, stuck, white, raw_score, is_anomaly, novelty, components, drift,
):  # fmt: skip
    for row in range(len(slots)):
        real, whole = reals[slots[row]], wholes[slots[row]]
        if fresh[row] >= 0 or gaps[row]:
            real[Real.SMOOTHED] = USUAL
            real[at_drift : at_drift + white.shape[1]] = 0.0
            whole[Whole.ALARMED] = 0
        if fresh[row] >= 0:
            real[Real.TAIL_START] = OWN_START
            real[Real.TAIL_SCALE] = 1.0
            whole[Whole.QUIET] = LONG_QUIET
        if statuses[row] == _SCORED:
            score = _remembering(
                real, at_drift, tables, weights, forest_score[row], distance[row], stuck[row],
                white[row], components[row], drift[row],
            )  # fmt: skip
        else:
            score = _plainly(tables, forest_score[row], distance[row])
        own = _of_its_own(real, score) if statuses[row] == _SCORED else score
        apart = statuses[row] >= _LATE
        before = whole[Whole.ALARMED] == 1 and not apart
        opens = own > threshold and (apart or whole[Whole.QUIET] >= refractory)
        alarm = (before and own >= HOLD * threshold) or opens
        raw_score[row], is_anomaly[row] = own, alarm
        novelty[row] = max(own - real[Real.HABIT], 0.0) if before and alarm else own
        if not apart:
            real[Real.HABIT] = max(own, real[Real.HABIT] if before else 0.0)
            whole[Whole.ALARMED] = 1 if alarm else 0
            whole[Whole.QUIET] = 0 if alarm else min(whole[Whole.QUIET] + 1, LONG_QUIET)
        if statuses[row] == _SCORED:
            _adapt(real, score, OWN_IN_ALARM if alarm and before else 1.0)


@part
def _of_its_own(real, score):  # type: ignore[no-untyped-def]
    """Read a score against the sensor's own tail: some are always more restless than others."""
    start = real[Real.TAIL_START]
    if score > start:
        return OWN_START + (score - start) / real[Real.TAIL_SCALE]
    return score * OWN_START / start


@part
def _adapt(real, score, weight):  # type: ignore[no-untyped-def]
    """Let the sensor's own tail follow: its start a quantile, its scale the mean excess."""
    start, scale = real[Real.TAIL_START], real[Real.TAIL_SCALE]
    step = weight / (OWN_ROWS * OWN_SHARE)
    if score > start:
        excess = min(score - start, OWN_CLIP * scale)
        # Clipped at three scales, an exponential excess has 0.95 of its mean.
        scale += step * (excess / _CLIPPED_MEAN - scale)
        scale = min(max(scale, OWN_SCALES[0]), OWN_SCALES[1])
        start += step * scale * (1.0 - OWN_SHARE)
    else:
        start -= step * scale * OWN_SHARE
    real[Real.TAIL_START] = max(start, OWN_LEAST * OWN_START)
    real[Real.TAIL_SCALE] = scale


@part
def _plainly(tables, forest_score, distance):  # type: ignore[no-untyped-def]
    total = look_up(tables[Table.PLAIN_FOREST], forest_score)
    total += look_up(tables[Table.PLAIN_DISTANCE], distance)
    return look_up(tables[Table.PLAIN_SUM], total)


@part
def _remembering(  # type: ignore[no-untyped-def]
    real, at_drift, tables, weights, forest_score, distance, stuck, white, components, drift,
):  # fmt: skip
    components[0] = look_up(tables[Table.FOREST], forest_score)
    components[1] = look_up(tables[Table.DISTANCE], distance)
    components[2] = look_up(tables[Table.DRIFT], follow(real, at_drift, white, drift))
    components[3] = look_up(tables[Table.STUCK], stuck)
    total = 0.0
    for component in range(len(components)):
        total += weights[component] * components[component]
    now = look_up(tables[Table.SUM], total)
    real[Real.SMOOTHED] = smooth(real[Real.SMOOTHED], now)
    lately = look_up(tables[Table.SMOOTHED], real[Real.SMOOTHED])
    return look_up(tables[Table.LARGER], max(now, lately))


@part
def smooth(before, now):  # type: ignore[no-untyped-def]
    """Move a smoothed score on by one row."""
    return before + SMOOTHING * (min(now, SMOOTHED_MOST) - before)


@part
def follow(real, at_drift, white, drift):  # type: ignore[no-untyped-def]
    """Move the smoothed residuals on by one row; return the largest, in spreads."""
    largest = 0.0
    for signal in range(len(white)):
        value = min(max(white[signal], -DRIFT_CLIP), DRIFT_CLIP)
        real[at_drift + signal] += SMOOTHING * (value - real[at_drift + signal])
        drift[signal] = real[at_drift + signal]
        largest = max(largest, abs(drift[signal]))
    return DRIFT_SCALE * largest
