"""The calibration of the decision: rarity tables and threshold from out-of-fold scores."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.calibration import Calibration, calibrate
from sensorwatch.common.model.decision import COMPONENTS, Decision, RarityTable
from sensorwatch.common.model.tails import Tail, fit_tail, rarity
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.decide import smooth_score
from sensorwatch.common.scoring.memory_layout import INITIAL_SMOOTHED_SCORE
from sensorwatch.trainer.scorer_fitting import RawScores

MAX_ROBUST_Z_SCORE = 3.5
"""Robust z-score above which a block's median is an outlier (Iglewicz and Hoaglin 1993)."""
BLOCKS_PER_EXCLUDED_BLOCK = 5
"""At most one block in this many is excluded."""
MIN_BLOCKS, MIN_BLOCK_ROWS, MIN_BLOCK_SPREAD = 5, 20, 0.1
"""Blocks, rows per block, and spread of the medians that an exclusion needs at least."""
MIN_TAIL_SCALES: Mapping[RarityTable, float] = {
    RarityTable.STUCK: 1.0,
    RarityTable.RARITY_SUM: 0.5,
    RarityTable.MAX_OF_SUM_AND_SMOOTHED: 0.5,
    RarityTable.NO_MEMORY_SUM: 0.5,
}
"""Minimum scales of tails of scores in nats.

A smaller scale would mean that scores beyond the sample are impossible."""
MAX_TAIL_SCALES: Mapping[RarityTable, float] = {
    RarityTable.NO_MEMORY_DISTANCE: 0.5,
    RarityTable.NO_MEMORY_SUM: 1.5,
}
"""Maximum scales of tails of scores without memory.

After compression, a power law with exponent 2, which has no variance, has a scale of 0.5. With this
limit a gross outlier alarms even if there were few rows to learn from."""


@dataclass(frozen=True, slots=True)
class CalibratedDecision:
    """A decision that maps raw scores to rarity, and the calibration of its threshold."""

    decision: Decision
    calibration: Calibration


def calibrate_decision(
    raw_scores: RawScores,
    trainer_settings: TrainerSettings,
    *,
    weights: tuple[float, ...] = (1.0,) * len(COMPONENTS),
) -> CalibratedDecision:
    """Fit all rarity tables of the decision, one stage after the other, and the threshold.

    Blocks of time with outlying scores are excluded, because they may contain an unlabelled fault.
    `weights`: 1 for each component that counts, else 0.
    """
    used = np.flatnonzero(
        raw_scores.scored if raw_scores.scored.any() else np.ones_like(raw_scores.scored)
    )
    calibration_mask = ~raw_scores.warm_up_only[used]
    tables = _TailTables(calibration_mask)
    total = _summed_rarity(tables, raw_scores.components[used], weights)
    typical = in_typical_blocks(total, raw_scores.block[used])
    tables.included = calibration_mask & typical
    if not typical.all():
        total = _summed_rarity(tables, raw_scores.components[used], weights)
    sum_rarity = tables.fit_and_apply(RarityTable.RARITY_SUM, total)
    smoothed_rarity = _smooth_over_time(
        sum_rarity, raw_scores.slots[used], raw_scores.restarts[used]
    )
    raw = np.maximum(sum_rarity, tables.fit_and_apply(RarityTable.SMOOTHED_SCORE, smoothed_rarity))
    raw = tables.fit_and_apply(RarityTable.MAX_OF_SUM_AND_SMOOTHED, raw)
    included = tables.included
    tables.included = np.ones(len(raw_scores.plain), dtype=np.bool_)
    plain = tables.fit_and_apply(RarityTable.NO_MEMORY_FOREST, raw_scores.plain[:, 0])
    plain += tables.fit_and_apply(RarityTable.NO_MEMORY_DISTANCE, raw_scores.plain[:, 1])
    tables.fit_and_apply(RarityTable.NO_MEMORY_SUM, plain)
    threshold = -float(np.log(trainer_settings.target_alert_rate))
    return CalibratedDecision(
        Decision(tables.as_array(), np.asarray(weights), trainer_settings.refractory_rows),
        calibrate(raw[included], trainer_settings.target_alert_rate, threshold=threshold),
    )


def in_typical_blocks(total: NDArray[np.float64], block: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return the mask (n,) of rows to calibrate on: all blocks without an outlying median.

    `total` (n,): summed rarity. `block` (n,): number of each row's block of time.
    """
    block_numbers, counts = np.unique(block, return_counts=True)
    included = np.ones(len(total), dtype=np.bool_)
    if len(block_numbers) < MIN_BLOCKS or counts.min() < MIN_BLOCK_ROWS:
        return included
    medians = np.asarray([np.median(total[block == number]) for number in block_numbers])
    median_of_medians = np.median(medians)
    spread = max(1.4826 * float(np.median(np.abs(medians - median_of_medians))), MIN_BLOCK_SPREAD)
    robust_z_scores = (medians - median_of_medians) / spread
    for position in np.argsort(-robust_z_scores, kind="stable")[
        : len(block_numbers) // BLOCKS_PER_EXCLUDED_BLOCK
    ]:
        if robust_z_scores[position] > MAX_ROBUST_Z_SCORE:
            included[block == block_numbers[position]] = False
    return included


class _TailTables:
    """The rarity tables fitted so far, from the rows of the mask `included`."""

    def __init__(self, included: NDArray[np.bool_]) -> None:
        self.included = included
        self._tails: dict[RarityTable, Tail] = {}

    def fit_and_apply(self, table: RarityTable, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fit a table on the included scores, and return the rarity (n,) of all scores."""
        tail = fit_tail(
            scores[self.included],
            min_scale=MIN_TAIL_SCALES.get(table, 0.0),
            max_scale=MAX_TAIL_SCALES.get(table, np.inf),
        )
        self._tails[table] = tail
        return rarity(tail, scores)

    def as_array(self) -> NDArray[np.float64]:
        """Return all tables, in the order of `RarityTable`."""
        return np.stack([self._tails[table].table for table in RarityTable])


def _summed_rarity(
    tables: _TailTables, components: NDArray[np.float64], weights: tuple[float, ...]
) -> NDArray[np.float64]:
    total = np.zeros(len(components))
    for position, (table, weight) in enumerate(zip(COMPONENTS, weights, strict=True)):
        total += weight * tables.fit_and_apply(table, components[:, position])
    return total


@kernel
def _smooth_over_time(  # type: ignore[no-untyped-def]
    sum_rarity, slots, restarts
):  # fmt: skip
    state = np.full(slots.max() + 1, INITIAL_SMOOTHED_SCORE)
    result = np.empty(len(sum_rarity))
    for row in range(len(sum_rarity)):
        if restarts[row]:
            state[slots[row]] = INITIAL_SMOOTHED_SCORE
        state[slots[row]] = smooth_score(state[slots[row]], sum_rarity[row])
        result[row] = state[slots[row]]
    return result
