"""Cross-validation over blocks of time: no row is scored by a model that was fitted on it."""

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
    fit_scorer,
    score_after_warm_up,
    score_selected,
)

MAX_BLOCKS = 10
"""Largest number of blocks of time into which the rows are divided."""
FOLD_GAP_ROWS = 10
"""The fit for a fold excludes this number of each sensor's rows before and after the fold.

A row changes the memory, and so the scores of about this number of the sensor's next rows."""
FORWARD_SCORED_FROM_SHARE = 0.7
"""A block that begins after this share of the rows is scored by a model that was fitted only on
earlier rows.

So the scores of the block include the changes of the sensors' levels after training, as in
service."""
MIN_ROWS_PER_SENSOR_FOR_FEW_FOLDS = 1_000
"""Minimum number of rows per sensor for a cross-validation with only FEW_FOLDS folds.

With this number of rows, a level fitted on half of the rows is as good as a level fitted on nine
tenths of them."""
FEW_FOLDS = 2
"""Number of folds of a cross-validation with many rows per sensor. Each fold contains every second
block."""


def out_of_fold_scores(
    readings: Readings, schema: Schema, trainer_settings: TrainerSettings, *, period: int = WEEK
) -> RawScores:
    """Return raw scores of the rows. No row is scored by a model that was fitted on it.

    Every row is scored, or a sample of the rows if there are more than MAX_FIT_ROWS. `period`: the
    season's period in microseconds, or 0 if the rows have no season.

    A block contains consecutive rows. To warm up the memory, the model for a block also processes
    the rows before the block, but only the scores of the block's rows are returned.
    """
    rows, sensor_rows = len(readings), SensorRows(readings.sensor)
    calibration_mask = sample_rows(sensor_rows, seed=trainer_settings.seed)
    if not calibration_mask.all():
        # Sensors without a sampled row do not affect the scores of other sensors.
        has_scored_rows = np.isin(readings.sensor, readings.sensor[calibration_mask])
        return concatenated_scores(
            _out_of_fold_scores_of_sample(
                readings.take(has_scored_rows),
                np.flatnonzero(has_scored_rows),
                calibration_mask[has_scored_rows],
                schema,
                trainer_settings,
                period,
            )
        )
    gap = FOLD_GAP_ROWS * sensor_rows.sensor_count
    block_scores = []
    for block, (start, stop) in enumerate(pairwise(_block_edges(rows))):
        fit_mask = np.ones(rows, dtype=np.bool_)
        # With few rows or many sensors, the gap is at most as long as the block.
        gap_rows = min(gap, stop - start)
        fit_mask[max(start - gap_rows, 0) : stop + gap_rows] = False
        if start >= FORWARD_SCORED_FROM_SHARE * rows:
            fit_mask[start:] = False
        fitted_scorer = fit_scorer(readings, fit_mask, schema, trainer_settings)
        block_scores.append(
            score_after_warm_up(fitted_scorer, readings.take(slice(None, stop)), start, block)
        )
    return concatenated_scores(block_scores)


def block_count(rows: int) -> int:
    """Return the number of blocks of time into which this number of rows is divided."""
    return min(MAX_BLOCKS, rows // 2)


def _out_of_fold_scores_of_sample(
    readings: Readings,
    positions: NDArray[np.int64],
    calibration_mask: NDArray[np.bool_],
    schema: Schema,
    trainer_settings: TrainerSettings,
    period: int,
) -> Iterator[RawScores]:
    """Yield for each fold the raw scores of its rows that `calibration_mask` (n,) selects.

    `positions` (n,): position of each row in the training rows. The memory is updated with all
    rows. Levels are fitted on all rows outside the fold and its gap.
    """
    rows, sensor_rows = len(readings), SensorRows(readings.sensor)
    block_edges, sensors = _block_edges(rows), sensor_rows.sensor_count
    block_of_row = np.repeat(np.arange(len(block_edges) - 1), np.diff(block_edges))
    time_span = int(readings.event_time[-1] - readings.event_time[0])
    # Each block must span at least two periods of the season. With two folds and shorter blocks, a
    # fit could lack the same part of every period.
    has_few_folds = (
        rows >= MIN_ROWS_PER_SENSOR_FOR_FEW_FOLDS * sensors and time_span >= 2 * MAX_BLOCKS * period
    )
    fold_count = FEW_FOLDS if has_few_folds else len(block_edges) - 1
    for fold in range(fold_count):
        in_fold = block_of_row % fold_count == fold
        scored_in_fold = calibration_mask & in_fold
        scored_mask = scored_in_fold | sensor_rows.warm_up_mask(scored_in_fold)
        fit_mask = ~_mask_with_gap(in_fold, block_edges, FOLD_GAP_ROWS * sensors)
        sample_mask = scored_mask | (calibration_mask & fit_mask)
        fit_result = fit_and_recall(readings, fit_mask, sample_mask, schema, trainer_settings)
        yield score_selected(
            fit_result,
            readings.take(sample_mask),
            scored_mask[sample_mask],
            block_of_row[sample_mask],
            positions[sample_mask],
            calibration_mask=scored_in_fold[sample_mask],
        )


def _mask_with_gap(
    in_fold: NDArray[np.bool_], block_edges: list[int], gap: int
) -> NDArray[np.bool_]:
    """Return the mask (n,) of the fold's blocks, each extended by `gap` rows on both sides.

    The gap is at most a quarter of a block. Then at least half of each block outside the fold
    remains for the fit.
    """
    extended_mask = in_fold.copy()
    for start, stop in pairwise(block_edges):
        if in_fold[start]:
            gap_rows = min(gap, (stop - start) // 4)
            extended_mask[max(start - gap_rows, 0) : stop + gap_rows] = True
    return extended_mask


def _block_edges(rows: int) -> list[int]:
    block_edges: list[int] = np.linspace(0, rows, block_count(rows) + 1).astype(np.int64).tolist()
    return block_edges
