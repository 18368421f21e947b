"""Calibrate the decision: fit rarity tables and threshold to out-of-fold scores."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.calibration import Calibration, calibrate
from sensorwatch.common.model.decision import (
    COMPONENTS,
    SUMMED_COMPONENTS,
    Decision,
    RarityTable,
)
from sensorwatch.common.model.tails import Tail, fit_tail, rarity
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.decide import decide_again
from sensorwatch.common.scoring.memory_layout import INITIAL_SMOOTHED_SCORE
from sensorwatch.common.scoring.score_combination import (
    SIGNAL,
    largest_signal_rarities,
    smooth_score,
)
from sensorwatch.trainer.alarm_fitting import CleanEpisodes, episode_peaks
from sensorwatch.trainer.scorer_fitting import RawScores

EPISODE_START_SCORE = 4.0
"""Score, in nats, above which episodes of clean rows are opened; low enough for many episodes."""
MAX_ROBUST_Z_SCORE = 3.5
"""Robust z-score above which a block's median is an outlier (Iglewicz and Hoaglin 1993)."""
BLOCKS_PER_EXCLUDED_BLOCK = 5
"""At most one of every group of this number of blocks may be excluded."""
MIN_BLOCKS = 5
"""Smallest number of blocks from which a block may be excluded."""
MIN_BLOCK_ROWS = 20
"""Smallest number of rows that every block must have before a block may be excluded."""
MIN_BLOCK_SPREAD = 0.1
"""Minimum spread of the block medians, by which the deviation of a median is divided."""
MIN_TAIL_SCALES: Mapping[RarityTable, float] = {
    RarityTable.STUCK: 1.0,
    RarityTable.RARITY_SUM: 0.5,
    RarityTable.SIGNAL: 0.5,
    RarityTable.LARGEST_RARITY: 0.5,
    RarityTable.NO_MEMORY_SUM: 0.5,
}
"""Minimum scale of each tail of the scores that are measured in nats.

With a smaller scale, a score above the highest calibration score would count as impossible."""
MAX_TAIL_SCALES: Mapping[RarityTable, float] = {
    RarityTable.NO_MEMORY_DISTANCE: 0.5,
    RarityTable.NO_MEMORY_SUM: 1.5,
}
"""Maximum scale of each tail of the scores that are computed without memory.

With this limit, a gross outlier raises an alarm even after a training with few rows. For compressed
scores, a power law with exponent 2 (infinite variance) has a scale of 0.5."""
MIN_SIGNAL_SCALE = 0.1
"""Minimum scale of the tail of a signal's conditional residual, in standard deviations."""
USUAL_CONSTANT_SIZE = 1.0
"""Usual conditional residual of a signal that never changed, in standard deviations."""
USUAL_SCORES: Mapping[RarityTable, float] = {
    RarityTable.FOREST: 0.501,
    RarityTable.NO_MEMORY_FOREST: 0.501,
    RarityTable.DISTANCE: 1.0,
    RarityTable.DRIFT: 2.0,
    RarityTable.NO_MEMORY_DISTANCE: 1.0,
    RarityTable.SMOOTHED_SCORE: INITIAL_SMOOTHED_SCORE,
}
"""Scores at which the tables begin if no signal changed in training, so that all scores are equal.

Without these limits, any other score would count as rare. Examples are a small distance, a sensor's
first smoothed score, and the score of trees without a split (0.5 before rounding)."""


@dataclass(frozen=True, slots=True)
class CalibratedDecision:
    """A fitted decision, with its threshold and with its episodes on clean rows."""

    decision: Decision
    calibration: Calibration
    clean_episodes: CleanEpisodes


def calibrate_decision(
    raw_scores: RawScores,
    guard_score: NDArray[np.float64],
    trainer_settings: TrainerSettings,
    *,
    weights: tuple[float, ...] = (1.0,) * len(COMPONENTS),
) -> CalibratedDecision:
    """Fit the rarity tables of the decision one after the other, and then the threshold.

    Blocks of time with outlying scores are excluded, because they may contain an unlabelled fault.
    `guard_score`: scores of the level guard for all training rows, in nats. `weights`: 1 for each
    component that is used, else 0.
    """
    used_rows = np.flatnonzero(
        raw_scores.is_scored if raw_scores.is_scored.any() else np.ones_like(raw_scores.is_scored)
    )
    calibration_mask = ~raw_scores.warm_up_only[used_rows]
    has_equal_distances = (
        np.ptp(raw_scores.components[used_rows, COMPONENTS.index(RarityTable.DISTANCE)]) == 0
    )
    tables = _TailTables(calibration_mask, USUAL_SCORES if has_equal_distances else {})
    summed_rarity = _summed_rarity(tables, raw_scores.components[used_rows], weights)
    is_typical = in_typical_blocks(summed_rarity, raw_scores.block[used_rows])
    tables.included_rows = calibration_mask & is_typical
    if not is_typical.all():
        summed_rarity = _summed_rarity(tables, raw_scores.components[used_rows], weights)
    sum_rarity = tables.fit_and_apply(RarityTable.RARITY_SUM, summed_rarity)
    smoothed_rarity = _smooth_over_time(
        sum_rarity, raw_scores.slots[used_rows], raw_scores.restarts[used_rows]
    )
    signal_tables = _tail_table_per_signal(raw_scores.conditional[used_rows], tables.included_rows)
    components = raw_scores.components[used_rows]
    largest_signal_rarities(raw_scores.conditional[used_rows], signal_tables, components[:, SIGNAL])
    signal_rarity = weights[SIGNAL] * tables.fit_and_apply(
        RarityTable.SIGNAL, components[:, SIGNAL]
    )
    largest_rarity = np.maximum(
        np.maximum(sum_rarity, tables.fit_and_apply(RarityTable.SMOOTHED_SCORE, smoothed_rarity)),
        signal_rarity,
    )
    raw_score = tables.fit_and_apply(RarityTable.LARGEST_RARITY, largest_rarity)
    included_rows = tables.included_rows
    tables.included_rows = np.ones(len(raw_scores.scores_without_memory), dtype=np.bool_)
    rarity_without_memory = tables.fit_and_apply(
        RarityTable.NO_MEMORY_FOREST, raw_scores.scores_without_memory[:, 0]
    )
    rarity_without_memory += tables.fit_and_apply(
        RarityTable.NO_MEMORY_DISTANCE, raw_scores.scores_without_memory[:, 1]
    )
    tables.fit_and_apply(RarityTable.NO_MEMORY_SUM, rarity_without_memory)
    threshold = -float(np.log(trainer_settings.target_alert_rate))
    decision = Decision(
        tables.as_array(),
        np.asarray(weights),
        signal_tables,
        trainer_settings.refractory_rows,
        trainer_settings.alarms.accept_after_rows,
    )
    return CalibratedDecision(
        decision,
        calibrate(
            raw_score[included_rows], trainer_settings.target_alert_rate, threshold=threshold
        ),
        _clean_episodes(
            decision,
            components,
            raw_scores,
            guard_score,
            used_rows,
            included_rows,
            start=min(EPISODE_START_SCORE, threshold),
        ),
    )


def _clean_episodes(
    decision: Decision,
    components: NDArray[np.float64],
    raw_scores: RawScores,
    guard_score: NDArray[np.float64],
    used_rows: NDArray[np.int64],
    included_rows: NDArray[np.bool_],
    *,
    start: float,
) -> CleanEpisodes:
    """Return the episodes of the used rows, decided as in service with the threshold `start`.

    `components`: shape (len(used_rows), len(COMPONENTS)).
    """
    score, in_alarm = decide_again(
        decision,
        components,
        guard_score[raw_scores.row[used_rows]],
        raw_scores.slots[used_rows],
        raw_scores.restarts[used_rows],
        threshold=start,
    )
    peaks = episode_peaks(score, in_alarm, raw_scores.slots[used_rows], included_rows)
    return CleanEpisodes(peaks, int(included_rows.sum()), start)


def in_typical_blocks(
    summed_rarity: NDArray[np.float64], block: NDArray[np.int64]
) -> NDArray[np.bool_]:
    """Return the mask (n,) of the rows in blocks whose median rarity is not an outlier.

    `summed_rarity` (n,): sum of the rarities of the components. `block` (n,): index of each row's
    block of time.
    """
    block_numbers, counts = np.unique(block, return_counts=True)
    included_rows = np.ones(len(summed_rarity), dtype=np.bool_)
    if len(block_numbers) < MIN_BLOCKS or counts.min() < MIN_BLOCK_ROWS:
        return included_rows
    medians = np.asarray(
        [np.median(summed_rarity[block == block_number]) for block_number in block_numbers]
    )
    median_of_medians = np.median(medians)
    spread = max(1.4826 * float(np.median(np.abs(medians - median_of_medians))), MIN_BLOCK_SPREAD)
    robust_z_scores = (medians - median_of_medians) / spread
    for position in np.argsort(-robust_z_scores, kind="stable")[
        : len(block_numbers) // BLOCKS_PER_EXCLUDED_BLOCK
    ]:
        if robust_z_scores[position] > MAX_ROBUST_Z_SCORE:
            included_rows[block == block_numbers[position]] = False
    return included_rows


class _TailTables:
    """Rarity tables, fitted one after the other on the rows in the mask `included_rows`."""

    def __init__(
        self, included_rows: NDArray[np.bool_], usual_scores: Mapping[RarityTable, float]
    ) -> None:
        self.included_rows = included_rows
        self._usual_scores = usual_scores
        self._tails: dict[RarityTable, Tail] = {}

    def fit_and_apply(self, table: RarityTable, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Fit a table on the included scores, and return the rarity (n,) of all scores."""
        tail = fit_tail(
            scores[self.included_rows],
            min_scale=MIN_TAIL_SCALES.get(table, 0.0),
            max_scale=MAX_TAIL_SCALES.get(table, np.inf),
            usual_score=self._usual_scores.get(table, -np.inf),
        )
        self._tails[table] = tail
        return rarity(tail, scores)

    def as_array(self) -> NDArray[np.float64]:
        """Return all tables as one array, in the order of `RarityTable`."""
        return np.stack([self._tails[table].table for table in RarityTable])


def _summed_rarity(
    tables: _TailTables, components: NDArray[np.float64], weights: tuple[float, ...]
) -> NDArray[np.float64]:
    summed_rarity = np.zeros(len(components))
    for position, table in enumerate(SUMMED_COMPONENTS):
        rarities = tables.fit_and_apply(table, components[:, position])
        summed_rarity += weights[position] * rarities
    return summed_rarity


def _tail_table_per_signal(
    conditional: NDArray[np.float64], included_rows: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Return `Decision.signal_tables`, fitted on the rows in the mask `included_rows` (n,)."""
    sizes = np.abs(conditional[included_rows])
    return np.stack([_tail_table_of_signal(column) for column in sizes.T])


def _tail_table_of_signal(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the table of the sizes (n,) of one signal's conditional residuals.

    The table of a signal that never changed begins at USUAL_CONSTANT_SIZE. Otherwise, even the
    smallest later change of the sensor's location would count as rare.
    """
    usual_residual = USUAL_CONSTANT_SIZE if np.ptp(sizes) == 0.0 else -np.inf
    return fit_tail(sizes, min_scale=MIN_SIGNAL_SCALE, usual_score=usual_residual).table


@kernel
def _smooth_over_time(  # type: ignore[no-untyped-def]
    sum_rarity, slots, restarts
):  # fmt: skip
    smoothed_by_slot = np.full(slots.max() + 1, INITIAL_SMOOTHED_SCORE)
    result = np.empty(len(sum_rarity))
    for row in range(len(sum_rarity)):
        if restarts[row]:
            smoothed_by_slot[slots[row]] = INITIAL_SMOOTHED_SCORE
        smoothed_by_slot[slots[row]] = smooth_score(smoothed_by_slot[slots[row]], sum_rarity[row])
        result[row] = smoothed_by_slot[slots[row]]
    return result
