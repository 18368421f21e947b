"""How rare each look at a row is, learned from rows that were not fitted on."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from common.detection.calibration import Calibration, calibrate
from common.detection.decision import COMPONENTS, Decision, Table, smooth
from common.detection.layout import USUAL
from common.detection.tails import Tail, rarity, tail_from
from common.kernels import kernel
from common.rows.readings import Readings
from common.rows.schema import Schema
from common.runtime.keys import TrainerSettings
from trainer.fitting import Looks, fit_on, look

FOLDS = 10
FOLD_GAP = 10
"""Rows of each sensor left out on either side of a fold, as far as a memory reaches."""
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


def looks_out_of_fold(readings: Readings, schema: Schema, how: TrainerSettings) -> Looks:
    """Look at every row with a model that was fitted on the others.

    FOLDS contiguous blocks in time; each one's model runs over the rows up to the block's end, so
    that its memory is warm, and only what it found in the block is kept.
    """
    rows = len(readings)
    edges = np.linspace(0, rows, block_count(rows) + 1).astype(np.int64).tolist()
    gap = FOLD_GAP * len(np.unique(readings.sensor))
    found = []
    for block, (start, stop) in enumerate(pairwise(edges)):
        fitting = np.ones(rows, dtype=np.bool_)
        # Of very few rows (or very many sensors) no more than a fold's width is left out.
        beside = min(gap, stop - start)
        fitting[max(start - beside, 0) : stop + beside] = False
        fitted = fit_on(readings, fitting, schema, how)
        found.append(look(fitted, readings.take(slice(None, stop)), start, block))
    return _joined(found)


def block_count(rows: int) -> int:
    """How many blocks of time so many rows are cut into."""
    return min(FOLDS, rows // 2)


def calibrate_on(
    looks: Looks, how: TrainerSettings, *, weights: tuple[float, ...] = (1.0,) * len(COMPONENTS)
) -> Calibrated:
    """Learn every table of the decision, stage after stage, and the threshold.

    Blocks of time that stand out are left out: a fault that nobody has labelled. `weights`: 1 for
    each component that counts, else 0.
    """
    used = np.flatnonzero(looks.scored if looks.scored.any() else np.ones_like(looks.scored))
    tables = _Tables(np.ones(len(used), dtype=np.bool_))
    total = _total(tables, looks.components[used], weights)
    tables.kept = usual_blocks(total, looks.block[used])
    if not tables.kept.all():
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


def _joined(parts: list[Looks]) -> Looks:
    return Looks(
        np.concatenate([part.components for part in parts]),
        np.concatenate([part.plain for part in parts]),
        np.concatenate([part.scored for part in parts]),
        np.concatenate([part.slots for part in parts]),
        np.concatenate([part.restarts for part in parts]),
        np.concatenate([part.block for part in parts]),
    )


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
