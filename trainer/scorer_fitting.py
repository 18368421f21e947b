"""Fit levels, forecast and forest on the same rows, and compute raw scores with them."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.angles import model_schema, sine_positions
from sensorwatch.common.model.civil_clock import civil_clock
from sensorwatch.common.model.decision import COMPONENTS, Decision, RarityTable
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.model.forest import Forest, score
from sensorwatch.common.model.levels import Levels
from sensorwatch.common.model.tails import identity_tables
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.decide import decide
from sensorwatch.common.scoring.features import forecast_features
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import FloatColumn, Layout
from sensorwatch.common.scoring.recall import RecalledRows, recall
from sensorwatch.common.scoring.residuals import Residuals, compute_residuals
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.trainer.forecast_fitting import fit_forecast
from sensorwatch.trainer.forest_fitting import fit_forest
from sensorwatch.trainer.level_fitting import fit_levels
from sensorwatch.trainer.recall_rows import concatenated_columns, recall_selected
from sensorwatch.trainer.row_subsampling import SensorRows, sample_rows
from sensorwatch.trainer.season_fitting import SeasonFit
from sensorwatch.trainer.season_text import season_zone

UNREACHABLE_MIN_ROWS = 2**40
"""A warm-up length that no sensor completes, so that every row is scored without memory."""
_SCORED_STATUS = STATUSES.index(Status.SCORED)
_LATE_STATUS = STATUSES.index(Status.LATE)


@dataclass(frozen=True, slots=True)
class FittedScorer:
    """The fitted models of a detector with memory, before calibration."""

    layout: Layout
    levels: Levels
    final_levels: Levels
    """The levels after the last training row. A detector in service starts with these levels."""
    forecast: Forecast
    season_fit: SeasonFit
    forest: Forest
    estimator: Any
    """The scikit-learn estimator from which `forest` was built."""


@dataclass(frozen=True, slots=True)
class RawScores:
    """The raw scores of n rows, before calibration."""

    components: NDArray[np.float64]
    """Shape (n, len(COMPONENTS)). Raw component scores."""
    conditional: NDArray[np.float64]
    """Shape (n, signals). See `Residuals.conditional`."""
    scores_without_memory: NDArray[np.float64]
    """Shape (n, 2). Forest score and whitened distance, computed without memory."""
    is_scored: NDArray[np.bool_]
    """Shape (n,). True if the sensor's warm-up was complete, so `components` is valid."""
    slots: NDArray[np.int64]
    """Shape (n,). Index of the sensor's row in the memory."""
    restarts: NDArray[np.bool_]
    """Shape (n,). True if smoothing restarts: the sensor is new, or the row follows a gap."""
    block: NDArray[np.int64]
    """Shape (n,). Number of the row's block of time."""
    warm_up_only: NDArray[np.bool_]
    """Shape (n,). True if the row is used only to warm up the smoothed score; the calibration skips
    it."""
    row: NDArray[np.int64]
    """Shape (n,). Position of the row in the training rows."""


@dataclass(frozen=True, slots=True)
class FitResult:
    """A fitted scorer, with the recalled columns and residuals of the sampled rows."""

    fitted_scorer: FittedScorer
    recalled: RecalledRows
    forecast_residuals: Residuals
    memory: Memory


def fit_scorer(
    readings: Readings,
    fit_mask: NDArray[np.bool_],
    schema: Schema,
    trainer_settings: TrainerSettings,
) -> FittedScorer:
    """Fit levels, forecast and forest on the rows that the mask `fit_mask` (n,) selects.

    `readings`: `model_rows` of readings of `schema`. Levels are fitted on all selected rows.
    If there are more than MAX_FIT_ROWS rows, forecast and forest are fitted on a sample of the
    selected rows.
    """
    sample_mask = sample_rows(SensorRows(readings.sensor), seed=trainer_settings.seed)
    return fit_and_recall(readings, fit_mask, sample_mask, schema, trainer_settings).fitted_scorer


def fit_and_recall(
    readings: Readings,
    fit_mask: NDArray[np.bool_],
    sample_mask: NDArray[np.bool_],
    schema: Schema,
    trainer_settings: TrainerSettings,
) -> FitResult:
    """Fit a scorer as `fit_scorer` does; also return the recalled columns of the sampled rows.

    Levels are fitted on the rows that the mask `fit_mask` (n,) selects. Forecast and forest are
    fitted on the rows that both `fit_mask` and the mask `sample_mask` (n,) select. Every row
    updates the memory.
    """
    levels = fit_levels(readings.take(fit_mask), schema, min_rows=trainer_settings.min_rows)
    fitted_schema = model_schema(schema)
    layout = Layout(
        fitted_schema.signal_names, fitted_schema.context_names, trainer_settings.min_rows
    )
    memory = Memory(layout)
    recalled = recall_selected(readings, sample_mask, levels, memory)
    is_fit_row = fit_mask[sample_mask]
    used_rows = is_fit_row & (recalled.status == _SCORED_STATUS)
    if used_rows.sum() < 2:
        # If no sensor has enough rows for its lagged rows, rows in the warm-up are used.
        used_rows = is_fit_row & (recalled.status < _LATE_STATUS)
    fitted_forecast = fit_forecast(
        recalled,
        used_rows,
        sine_positions(schema.signals),
        clock=civil_clock(season_zone(schema, trainer_settings)),
    )
    forecast = fitted_forecast.forecast
    forecast_residuals = compute_residuals(forecast, recalled)
    estimator, forest = fit_forest(
        _forest_inputs(recalled, forecast_residuals, used_rows), trainer_settings
    )
    levels_after_fit = final_levels(levels, memory)
    fitted_scorer = FittedScorer(
        layout,
        levels,
        levels_after_fit,
        forecast,
        fitted_forecast.season_fit,
        forest,
        estimator,
    )
    return FitResult(fitted_scorer, recalled, forecast_residuals, memory)


def final_levels(levels: Levels, memory: Memory) -> Levels:
    """Return the levels, with the locations of known sensors from the memory."""
    location = levels.location.copy()
    columns = slice(FloatColumn.LOCATIONS, memory.layout.scales_start)
    for sensor_id, level_index in levels.level_by_sensor.items():
        memory_row = memory.slot_by_sensor.get(sensor_id)
        if memory_row is not None:
            location[level_index] = memory.floats[memory_row, columns]
    return replace(levels, location=location)


def score_after_warm_up(
    fitted_scorer: FittedScorer, readings: Readings, start: int, block: int
) -> RawScores:
    """Score the rows from `start` on; the rows before `start` warm up an empty memory.

    `block`: index of the scored rows' block of time.
    """
    memory = Memory(fitted_scorer.layout)
    row = np.arange(len(readings))
    recalled = recall(readings, fitted_scorer.levels, fitted_scorer.levels.level_by_sensor, memory)
    fit_result = FitResult(
        fitted_scorer, recalled, compute_residuals(fitted_scorer.forecast, recalled), memory
    )
    blocks = np.full(len(readings), block)
    return score_selected(fit_result, readings, slice(start, None), blocks, row)


def score_selected(
    fit_result: FitResult,
    readings: Readings,
    scored_mask: NDArray[np.bool_] | slice,
    block: NDArray[np.int64],
    row: NDArray[np.int64],
    *,
    calibration_mask: NDArray[np.bool_] | None = None,
) -> RawScores:
    """Return the raw scores of the rows that `scored_mask` (n,) selects.

    `readings`: the n sampled rows of `fit_result`. `block` (n,): number of each row's block of
    time. `row` (n,): position of each row in the training rows. `calibration_mask` (n,): rows to
    calibrate on, by default all rows. Other rows only warm up the smoothed score.
    """
    fitted_scorer, recalled, forecast_residuals = (
        fit_result.fitted_scorer,
        fit_result.recalled,
        fit_result.forecast_residuals,
    )
    # The forest scores of rows outside the mask remain 0; they do not affect the selected rows.
    forest_scores = np.zeros(len(readings))
    forest_scores[scored_mask] = score(
        fitted_scorer.forest, _forest_inputs(recalled, forecast_residuals, scored_mask)
    )
    decided_rows = decide(
        _UNCALIBRATED_DECISION,
        recalled,
        forest_scores,
        forecast_residuals,
        fit_result.memory,
        threshold=np.inf,
    )
    warm_up_only = (
        np.zeros(len(readings), dtype=np.bool_) if calibration_mask is None else ~calibration_mask
    )
    return RawScores(
        components=decided_rows.components[scored_mask],
        conditional=forecast_residuals.conditional[scored_mask],
        scores_without_memory=_score_without_history(fitted_scorer, readings.take(scored_mask)),
        is_scored=recalled.status[scored_mask] == _SCORED_STATUS,
        slots=recalled.slots[scored_mask],
        restarts=((recalled.new_sensor_level >= 0) | recalled.gap)[scored_mask],
        block=block[scored_mask],
        warm_up_only=warm_up_only[scored_mask],
        row=row[scored_mask],
    )


def concatenated_scores(scores: Iterable[RawScores]) -> RawScores:
    """Return the raw scores of several blocks in one object, in the order of `scores`."""
    return RawScores(
        **concatenated_columns(list(scores), [field.name for field in fields(RawScores)])
    )


def _score_without_history(fitted_scorer: FittedScorer, readings: Readings) -> NDArray[np.float64]:
    """Return the forest score and the distance (n, 2) of rows as if their sensors were unknown.

    Each row is compared with the pooled level of all sensors.
    """
    empty_memory = Memory(replace(fitted_scorer.layout, min_rows=UNREACHABLE_MIN_ROWS))
    recalled = recall(readings, fitted_scorer.levels, {}, empty_memory)
    forecast_residuals = compute_residuals(fitted_scorer.forecast, recalled)
    forest_scores = score(fitted_scorer.forest, forecast_features(recalled, forecast_residuals))
    return np.stack([forest_scores, forecast_residuals.distance], axis=1)


def _forest_inputs(
    recalled: RecalledRows, forecast_residuals: Residuals, rows: NDArray[np.bool_] | slice
) -> NDArray[np.float64]:
    """Return the forest's feature matrix (m, features) of the selected rows."""
    return forecast_features(
        replace(recalled, standardised=recalled.standardised[rows]),
        replace(forecast_residuals, whitened=forecast_residuals.whitened[rows]),
    )


_UNCALIBRATED_DECISION = Decision(
    identity_tables(len(RarityTable)), np.ones(len(COMPONENTS)), identity_tables(0)
)
