"""Looks at rows by models that were not fitted on them."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.season import WEEK
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer.row_subsampling import Streams, spread
from sensorwatch.trainer.scorer_fitting import Looks, fit_on, fit_recalling, joined, look, looks_at

BLOCKS = 10
FOLD_GAP = 10
"""Rows of each sensor left out on either side of a fold, as far as a memory reaches."""
MANY_OF_A_SENSOR = 1_000
"""From so many rows on half of them tell a sensor's level as well as nine in ten do ..."""
FEW_FOLDS = 2
"""... so every other block is left out at once."""


def looks_out_of_fold(
    readings: Readings, schema: Schema, how: TrainerSettings, *, period: int = WEEK
) -> Looks:
    """Look at rows with a model that was fitted on others: every row, or a spread of very many.

    `period`: microseconds of what comes back in them, 0 if nothing does.

    Blocks are contiguous in time; each one's model runs over the rows up to the block's end, so
    that its memory is warm, and only what it found in the block is kept.
    """
    rows, streams = len(readings), Streams(readings.sensor)
    counted = spread(streams, seed=how.seed)
    if not counted.all():
        # What is never looked at of a sensor says nothing of the others.
        there = np.isin(readings.sensor, readings.sensor[counted])
        return joined(_looks_at_some(readings.take(there), counted[there], schema, how, period))
    gap = FOLD_GAP * streams.count
    found = []
    for block, (start, stop) in enumerate(pairwise(_edges(rows))):
        fitting = np.ones(rows, dtype=np.bool_)
        # Of very few rows (or very many sensors) no more than a fold's width is left out.
        beside = min(gap, stop - start)
        fitting[max(start - beside, 0) : stop + beside] = False
        fitted = fit_on(readings, fitting, schema, how)
        found.append(look(fitted, readings.take(slice(None, stop)), start, block))
    return joined(found)


def block_count(rows: int) -> int:
    """How many blocks of time so many rows are cut into."""
    return min(BLOCKS, rows // 2)


def _looks_at_some(
    readings: Readings,
    counted: NDArray[np.bool_],
    schema: Schema,
    how: TrainerSettings,
    period: int,
) -> Iterator[Looks]:
    """Let memory and levels have all rows, and look at those that are `counted` (n,) only."""
    rows, streams = len(readings), Streams(readings.sensor)
    edges, sensors = _edges(rows), streams.count
    block = np.repeat(np.arange(len(edges) - 1), np.diff(edges))
    span = int(readings.event_time[-1] - readings.event_time[0])
    # Blocks that fall in with the season would each time leave out the same half of it.
    few = rows >= MANY_OF_A_SENSOR * sensors and span >= 2 * BLOCKS * period
    folds = FEW_FOLDS if few else len(edges) - 1
    for fold in range(folds):
        held = block % folds == fold
        wanted = counted & held
        looked = wanted | streams.before(wanted)
        fitting = ~_wider(held, edges, FOLD_GAP * sensors)
        kept = looked | (counted & fitting)
        fit = fit_recalling(readings, fitting, kept, schema, how)
        yield looks_at(fit, readings.take(kept), looked[kept], block[kept], counted=wanted[kept])


def _wider(held: NDArray[np.bool_], edges: list[int], gap: int) -> NDArray[np.bool_]:
    """Return the held blocks (n,) with a gap on either side.

    Of very many sensors no more than a quarter of a block, so that half of one between two is left.
    """
    found = held.copy()
    for start, stop in pairwise(edges):
        if held[start]:
            beside = min(gap, (stop - start) // 4)
            found[max(start - beside, 0) : stop + beside] = True
    return found


def _edges(rows: int) -> list[int]:
    edges: list[int] = np.linspace(0, rows, block_count(rows) + 1).astype(np.int64).tolist()
    return edges
