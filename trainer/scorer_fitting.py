"""What looks at a row with memory: levels, forecast and forest, fitted on the same rows."""

from collections.abc import Iterable
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.decision import COMPONENTS, Decision
from sensorwatch.common.model.forecast import Forecast
from sensorwatch.common.model.forest import Forest, score
from sensorwatch.common.model.levels import Levels
from sensorwatch.common.model.tails import identity_tables
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.decide import decide
from sensorwatch.common.scoring.detector import forecast_features
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import FloatColumn, Layout
from sensorwatch.common.scoring.recall import Recalled, recall
from sensorwatch.common.scoring.residuals import Residuals, compute_residuals
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.trainer.forecast_fitting import fit_forecast
from sensorwatch.trainer.forest_fitting import fit_forest
from sensorwatch.trainer.level_fitting import fit_levels
from sensorwatch.trainer.recall_rows import concatenated_columns, recall_selected
from sensorwatch.trainer.row_subsampling import SensorRows, sample_rows

UNREACHABLE_MIN_ROWS = 2**40
_SCORED = STATUSES.index(Status.SCORED)
_LATE = STATUSES.index(Status.LATE)


@dataclass(frozen=True, slots=True)
class FittedScorer:
    """What looks at a row; nothing of it is calibrated."""

    layout: Layout
    levels: Levels
    final_levels: Levels
    """Where the sensors lay after the last row: where a model that goes on from there begins."""
    forecast: Forecast
    forest: Forest
    estimator: Any


@dataclass(frozen=True, slots=True)
class RawScores:
    """What was found of n rows, before anything is calibrated."""

    components: NDArray[np.float64]
    """(n, len(COMPONENTS)) raw."""
    plain: NDArray[np.float64]
    """(n, 2) forest and distance, as of rows without memory."""
    scored: NDArray[np.bool_]
    """(n,) whether the row had a memory, so that the components mean something."""
    slots: NDArray[np.int64]
    """(n,) number of its sensor."""
    restarts: NDArray[np.bool_]
    """(n,) whether its sensor begins anew with it."""
    block: NDArray[np.int64]
    """(n,) which stretch of time it belongs to."""
    warming: NDArray[np.bool_]
    """(n,) whether it is there only to warm what is smoothed, and is not learned from."""


@dataclass(frozen=True, slots=True)
class FitResult:
    """What was fitted, and what it found of the rows that were kept on the way."""

    fitted: FittedScorer
    recalled: Recalled
    forecast_residuals: Residuals
    memory: Memory


def fit_on(
    readings: Readings,
    fitting: NDArray[np.bool_],
    schema: Schema,
    trainer_settings: TrainerSettings,
) -> FittedScorer:
    """Fit on the rows of `fitting` (n,); `readings` in time order, without holes.

    Of very many the levels are learned from all, forecast and forest from a spread of them.
    """
    sampled = sample_rows(SensorRows(readings.sensor), seed=trainer_settings.seed)
    return fit_and_recall(readings, fitting, sampled, schema, trainer_settings).fitted


def fit_and_recall(
    readings: Readings,
    fitting: NDArray[np.bool_],
    sampled: NDArray[np.bool_],
    schema: Schema,
    trainer_settings: TrainerSettings,
) -> FitResult:
    """Fit levels on the rows of `fitting` (n,), all else on those that are `sampled` (n,) too.

    The memory takes in every row.
    """
    levels = fit_levels(readings.take(fitting), schema, min_rows=trainer_settings.min_rows)
    layout = Layout(schema.signal_names, schema.context_names, trainer_settings.min_rows)
    memory = Memory(layout)
    recalled = recall_selected(readings, sampled, levels, memory)
    fitting = fitting[sampled]
    used = fitting & (recalled.status == _SCORED)
    if used.sum() < 2:
        # Too few rows of any sensor for its lags: everything rests on what needs no memory.
        used = fitting & (recalled.status < _LATE)
    forecast = fit_forecast(recalled, used)
    forecast_residuals = compute_residuals(forecast, recalled)
    estimator, forest = fit_forest(
        _forest_inputs(recalled, forecast_residuals, used), trainer_settings
    )
    levels_after_fit = final_levels(levels, memory)
    fitted = FittedScorer(layout, levels, levels_after_fit, forecast, forest, estimator)
    return FitResult(fitted, recalled, forecast_residuals, memory)


def final_levels(levels: Levels, memory: Memory) -> Levels:
    """Return the levels with each known sensor's location as the memory has followed it."""
    location = levels.location.copy()
    columns = slice(FloatColumn.LOCATIONS, memory.layout.scales_start)
    for name, level in levels.level_by_sensor.items():
        memory_row = memory.slot_by_sensor.get(name)
        if memory_row is not None:
            location[level] = memory.floats[memory_row, columns]
    return replace(levels, location=location)


def score_after_warm_up(
    fitted: FittedScorer, readings: Readings, start: int, block: int
) -> RawScores:
    """Look at rows from `start` on; the ones before warm the memory, in order, from cold."""
    memory = Memory(fitted.layout)
    recalled = recall(readings, fitted.levels, fitted.levels.level_by_sensor, memory)
    fit = FitResult(fitted, recalled, compute_residuals(fitted.forecast, recalled), memory)
    blocks = np.full(len(readings), block)
    return score_selected(fit, readings, slice(start, None), blocks)


def score_selected(
    fit: FitResult,
    readings: Readings,
    scored_mask: NDArray[np.bool_] | slice,
    block: NDArray[np.int64],
    *,
    calibration_mask: NDArray[np.bool_] | None = None,
) -> RawScores:
    """Look at some of the n `readings` that were kept, each of a `block` (n,).

    `calibration_mask` (n,): those that do not only warm what is smoothed; default: all.
    """
    fitted, recalled, forecast_residuals = fit.fitted, fit.recalled, fit.forecast_residuals
    # No component follows from what the forest said of other rows, so it is not asked.
    forest_scores = np.zeros(len(readings))
    forest_scores[scored_mask] = score(
        fitted.forest, _forest_inputs(recalled, forecast_residuals, scored_mask)
    )
    decided_rows = decide(
        _UNCALIBRATED, recalled, forest_scores, forecast_residuals, fit.memory, threshold=np.inf
    )
    warming = (
        np.zeros(len(readings), dtype=np.bool_) if calibration_mask is None else ~calibration_mask
    )
    return RawScores(
        components=decided_rows.components[scored_mask],
        plain=_score_without_history(fitted, readings.take(scored_mask)),
        scored=recalled.status[scored_mask] == _SCORED,
        slots=recalled.slots[scored_mask],
        restarts=((recalled.new_sensor_level >= 0) | recalled.gap)[scored_mask],
        block=block[scored_mask],
        warming=warming[scored_mask],
    )


def concatenated_scores(parts: Iterable[RawScores]) -> RawScores:
    """Put looks one after the other."""
    return RawScores(
        **concatenated_columns(list(parts), [field.name for field in fields(RawScores)])
    )


def _score_without_history(fitted: FittedScorer, readings: Readings) -> NDArray[np.float64]:
    """Look at rows as if nothing were known of their sensors: against the level of all of them."""
    empty_memory = Memory(replace(fitted.layout, min_rows=UNREACHABLE_MIN_ROWS))
    recalled = recall(readings, fitted.levels, {}, empty_memory)
    forecast_residuals = compute_residuals(fitted.forecast, recalled)
    forest_scores = score(fitted.forest, forecast_features(recalled, forecast_residuals))
    return np.stack([forest_scores, forecast_residuals.distance], axis=1)


def _forest_inputs(
    recalled: Recalled, forecast_residuals: Residuals, rows: NDArray[np.bool_] | slice
) -> NDArray[np.float64]:
    """Return what the forest sees of some rows."""
    return forecast_features(
        replace(recalled, standardised=recalled.standardised[rows]),
        replace(forecast_residuals, whitened=forecast_residuals.whitened[rows]),
    )


_UNCALIBRATED = Decision(identity_tables(10), np.ones(len(COMPONENTS)))
