"""How rare each look at a row is, learned from rows that were not fitted on."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.calibration import Calibration, calibrate
from sensorwatch.common.model.decision import COMPONENTS, Decision, Table
from sensorwatch.common.model.tails import Tail, rarity, tail_from
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.decide import smooth
from sensorwatch.common.scoring.memory_layout import USUAL
from sensorwatch.trainer.scorer_fitting import Looks

OUTLYING = 3.5
"""Robust z-score from which on a block's median stands out (Iglewicz and Hoaglin 1993)."""
MOST_OF_BLOCKS = 5
"""One block in five is left out at the most."""
LEAST_BLOCKS, LEAST_BLOCK_ROWS, LEAST_BLOCK_SPREAD = 5, 20, 0.1
LEAST_SCALES: Mapping[Table, float] = {
    Table.STUCK: 1.0,
    Table.SUM: 0.5,
    Table.LARGER: 0.5,
    Table.PLAIN_SUM: 0.5,
}
"""Scores in nats: their tails may not fall as if nothing beyond the sample ever came."""
MOST_SCALES: Mapping[Table, float] = {Table.PLAIN_DISTANCE: 0.5, Table.PLAIN_SUM: 1.5}
"""Squashed, a power law with exponent 2, which has no variance, falls with a scale of 0.5: so a
gross outlier is one however few rows there were to learn from."""


@dataclass(frozen=True, slots=True)
class Calibrated:
    """How looks become decisions."""

    decision: Decision
    calibration: Calibration


def calibrate_on(
    looks: Looks, how: TrainerSettings, *, weights: tuple[float, ...] = (1.0,) * len(COMPONENTS)
) -> Calibrated:
    """Learn every table of the decision, stage after stage, and the threshold.

    Blocks of time that stand out are left out: a fault that nobody has labelled. `weights`: 1 for
    each component that counts, else 0.
    """
    used = np.flatnonzero(looks.scored if looks.scored.any() else np.ones_like(looks.scored))
    counted = ~looks.warming[used]
    tables = _Tables(counted)
    total = _total(tables, looks.components[used], weights)
    usual = usual_blocks(total, looks.block[used])
    tables.kept = counted & usual
    if not usual.all():
        total = _total(tables, looks.components[used], weights)
    now = tables.learned(Table.SUM, total)
    lately = _smoothed(now, looks.slots[used], looks.restarts[used])
    raw = np.maximum(now, tables.learned(Table.SMOOTHED, lately))
    raw = tables.learned(Table.LARGER, raw)
    kept = tables.kept
    tables.kept = np.ones(len(looks.plain), dtype=np.bool_)
    plain = tables.learned(Table.PLAIN_FOREST, looks.plain[:, 0])
    plain += tables.learned(Table.PLAIN_DISTANCE, looks.plain[:, 1])
    tables.learned(Table.PLAIN_SUM, plain)
    threshold = -float(np.log(how.target_alert_rate))
    return Calibrated(
        Decision(tables.stacked(), np.asarray(weights), how.refractory_rows),
        calibrate(raw[kept], how.target_alert_rate, threshold=threshold),
    )


def usual_blocks(total: NDArray[np.float64], block: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which rows (n,) to calibrate on: all but those of blocks whose median stands out."""
    numbers, counts = np.unique(block, return_counts=True)
    kept = np.ones(len(total), dtype=np.bool_)
    if len(numbers) < LEAST_BLOCKS or counts.min() < LEAST_BLOCK_ROWS:
        return kept
    medians = np.asarray([np.median(total[block == number]) for number in numbers])
    middle = np.median(medians)
    spread = max(1.4826 * float(np.median(np.abs(medians - middle))), LEAST_BLOCK_SPREAD)
    outlying = (medians - middle) / spread
    for position in np.argsort(-outlying, kind="stable")[: len(numbers) // MOST_OF_BLOCKS]:
        if outlying[position] > OUTLYING:
            kept[block == numbers[position]] = False
    return kept


class _Tables:
    """Tables as they are learned, from the rows that are kept."""

    def __init__(self, kept: NDArray[np.bool_]) -> None:
        self.kept = kept
        self._tails: dict[Table, Tail] = {}

    def learned(self, table: Table, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Learn a table from the kept scores and read all of them with it."""
        tail = tail_from(
            scores[self.kept],
            least_scale=LEAST_SCALES.get(table, 0.0),
            most_scale=MOST_SCALES.get(table, np.inf),
        )
        self._tails[table] = tail
        return rarity(tail, scores)

    def stacked(self) -> NDArray[np.float64]:
        """Return all tables in their order."""
        return np.stack([self._tails[table].table for table in Table])


def _total(
    tables: _Tables, components: NDArray[np.float64], weights: tuple[float, ...]
) -> NDArray[np.float64]:
    total = np.zeros(len(components))
    for position, (table, weight) in enumerate(zip(COMPONENTS, weights, strict=True)):
        total += weight * tables.learned(table, components[:, position])
    return total


@kernel
def _smoothed(  # type: ignore[no-untyped-def]
    now, slots, restarts
):  # fmt: skip
    state = np.full(slots.max() + 1, USUAL)
    found = np.empty(len(now))
    for row in range(len(now)):
        if restarts[row]:
            state[slots[row]] = USUAL
        state[slots[row]] = smooth(state[slots[row]], now[row])
        found[row] = state[slots[row]]
    return found
