"""Looks at rows by models that were not fitted on them."""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.season import WEEK
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer.row_subsampling import SensorRows, sample_rows
from sensorwatch.trainer.scorer_fitting import (
    RawScores,
    concatenated_scores,
    fit_and_recall,
    fit_on,
    score_after_warm_up,
    score_selected,
)

BLOCKS = 10
FOLD_GAP = 10
"""Rows of each sensor left out on either side of a fold, as far as a memory reaches."""
FEW_FOLDS_ROWS_PER_SENSOR = 1_000
"""From so many rows on half of them tell a sensor's level as well as nine in ten do ..."""
FEW_FOLDS = 2
"""... so every other block is left out at once."""


def out_of_fold_scores(
    readings: Readings, schema: Schema, trainer_settings: TrainerSettings, *, period: int = WEEK
) -> RawScores:
    """Look at rows with a model that was fitted on others: every row, or a spread of very many.

    `period`: microseconds of what comes back in them, 0 if nothing does.

    Blocks are contiguous in time; each one's model runs over the rows up to the block's end, so
    that its memory is warm, and only what it found in the block is kept.
    """
    rows, streams = len(readings), SensorRows(readings.sensor)
    calibration_mask = sample_rows(streams, seed=trainer_settings.seed)
    if not calibration_mask.all():
        # What is never looked at of a sensor says nothing of the others.
        has_scored_rows = np.isin(readings.sensor, readings.sensor[calibration_mask])
        return concatenated_scores(
            _out_of_fold_scores_of_sample(
                readings.take(has_scored_rows),
                calibration_mask[has_scored_rows],
                schema,
                trainer_settings,
                period,
            )
        )
    gap = FOLD_GAP * streams.count
    result = []
    for block, (start, stop) in enumerate(pairwise(_block_edges(rows))):
        fitting = np.ones(rows, dtype=np.bool_)
        # Of very few rows (or very many sensors) no more than a fold's width is left out.
        gap_rows = min(gap, stop - start)
        fitting[max(start - gap_rows, 0) : stop + gap_rows] = False
        fitted = fit_on(readings, fitting, schema, trainer_settings)
        result.append(score_after_warm_up(fitted, readings.take(slice(None, stop)), start, block))
    return concatenated_scores(result)


def block_count(rows: int) -> int:
    """How many blocks of time so many rows are cut into."""
    return min(BLOCKS, rows // 2)


def _out_of_fold_scores_of_sample(
    readings: Readings,
    calibration_mask: NDArray[np.bool_],
    schema: Schema,
    trainer_settings: TrainerSettings,
    period: int,
) -> Iterator[RawScores]:
    """Let memory and levels have all rows, and look at those that are `calibration_mask` (n,) only."""
    rows, streams = len(readings), SensorRows(readings.sensor)
    block_edges, sensors = _block_edges(rows), streams.count
    block = np.repeat(np.arange(len(block_edges) - 1), np.diff(block_edges))
    time_span = int(readings.event_time[-1] - readings.event_time[0])
    # Blocks that fall in with the season would each time leave out the same half of it.
    use_few_folds = rows >= FEW_FOLDS_ROWS_PER_SENSOR * sensors and time_span >= 2 * BLOCKS * period
    folds = FEW_FOLDS if use_few_folds else len(block_edges) - 1
    for fold in range(folds):
        held_out = block % folds == fold
        scored_in_fold = calibration_mask & held_out
        scored_mask = scored_in_fold | streams.warm_up_mask(scored_in_fold)
        fitting = ~_with_gap(held_out, block_edges, FOLD_GAP * sensors)
        sampled = scored_mask | (calibration_mask & fitting)
        fit = fit_and_recall(readings, fitting, sampled, schema, trainer_settings)
        yield score_selected(
            fit,
            readings.take(sampled),
            scored_mask[sampled],
            block[sampled],
            calibration_mask=scored_in_fold[sampled],
        )


def _with_gap(held_out: NDArray[np.bool_], block_edges: list[int], gap: int) -> NDArray[np.bool_]:
    """Return the held blocks (n,) with a gap on either side.

    Of very many sensors no more than a quarter of a block, so that half of one between two is left.
    """
    result = held_out.copy()
    for start, stop in pairwise(block_edges):
        if held_out[start]:
            gap_rows = min(gap, (stop - start) // 4)
            result[max(start - gap_rows, 0) : stop + gap_rows] = True
    return result


def _block_edges(rows: int) -> list[int]:
    block_edges: list[int] = np.linspace(0, rows, block_count(rows) + 1).astype(np.int64).tolist()
    return block_edges
