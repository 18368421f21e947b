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
from sensorwatch.common.model.tails import identity
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.decide import decide
from sensorwatch.common.scoring.detector import forecast_features
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import Layout, Real
from sensorwatch.common.scoring.recall import Recalled, recall
from sensorwatch.common.scoring.residuals import Residuals, residuals
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.trainer.forecast_fitting import fit_forecast
from sensorwatch.trainer.forest_fitting import fit_forest
from sensorwatch.trainer.level_fitting import fit_levels
from sensorwatch.trainer.recall_rows import recall_some, stacked
from sensorwatch.trainer.row_subsampling import Streams, spread

LONG_WARM_UP = 2**40
_SCORED = STATUSES.index(Status.SCORED)
_LATE = STATUSES.index(Status.LATE)


@dataclass(frozen=True, slots=True)
class Fitted:
    """What looks at a row; nothing of it is calibrated."""

    layout: Layout
    levels: Levels
    settled: Levels
    """Where the sensors lay after the last row: where a model that goes on from there begins."""
    forecast: Forecast
    forest: Forest
    estimator: Any


@dataclass(frozen=True, slots=True)
class Looks:
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
class Fit:
    """What was fitted, and what it found of the rows that were kept on the way."""

    fitted: Fitted
    recalled: Recalled
    left: Residuals
    memory: Memory


def fit_on(
    readings: Readings, fitting: NDArray[np.bool_], schema: Schema, how: TrainerSettings
) -> Fitted:
    """Fit on the rows of `fitting` (n,); `readings` in time order, without holes.

    Of very many the levels are learned from all, forecast and forest from a spread of them.
    """
    kept = spread(Streams(readings.sensor), seed=how.seed)
    return fit_recalling(readings, fitting, kept, schema, how).fitted


def fit_recalling(
    readings: Readings,
    fitting: NDArray[np.bool_],
    kept: NDArray[np.bool_],
    schema: Schema,
    how: TrainerSettings,
) -> Fit:
    """Fit levels on the rows of `fitting` (n,), all else on those that are `kept` (n,) too.

    The memory takes in every row.
    """
    levels = fit_levels(readings.take(fitting), schema, min_rows=how.min_rows)
    layout = Layout(schema.signal_names, schema.context_names, how.min_rows)
    memory = Memory(layout)
    recalled = recall_some(readings, kept, levels, memory)
    fitting = fitting[kept]
    used = fitting & (recalled.status == _SCORED)
    if used.sum() < 2:
        # Too few rows of any sensor for its lags: everything rests on what needs no memory.
        used = fitting & (recalled.status < _LATE)
    forecast = fit_forecast(recalled, used)
    left = residuals(forecast, recalled)
    estimator, forest = fit_forest(_matrix(recalled, left, used), how)
    after = settled(levels, memory)
    fitted = Fitted(layout, levels, after, forecast, forest, estimator)
    return Fit(fitted, recalled, left, memory)


def settled(levels: Levels, memory: Memory) -> Levels:
    """Return the levels with each known sensor's location as the memory has followed it."""
    location = levels.location.copy()
    columns = slice(Real.LEVELS, memory.layout.scale)
    for name, level in levels.known.items():
        line = memory.numbers.get(name)
        if line is not None:
            location[level] = memory.reals[line, columns]
    return replace(levels, location=location)


def look(fitted: Fitted, readings: Readings, start: int, block: int) -> Looks:
    """Look at rows from `start` on; the ones before warm the memory, in order, from cold."""
    memory = Memory(fitted.layout)
    recalled = recall(readings, fitted.levels, fitted.levels.known, memory)
    fit = Fit(fitted, recalled, residuals(fitted.forecast, recalled), memory)
    blocks = np.full(len(readings), block)
    return looks_at(fit, readings, slice(start, None), blocks)


def looks_at(
    fit: Fit,
    readings: Readings,
    looked: NDArray[np.bool_] | slice,
    block: NDArray[np.int64],
    *,
    counted: NDArray[np.bool_] | None = None,
) -> Looks:
    """Look at some of the n `readings` that were kept, each of a `block` (n,).

    `counted` (n,): those that do not only warm what is smoothed; default: all.
    """
    fitted, recalled, left = fit.fitted, fit.recalled, fit.left
    # No component follows from what the forest said of other rows, so it is not asked.
    seen = np.zeros(len(readings))
    seen[looked] = score(fitted.forest, _matrix(recalled, left, looked))
    judged = decide(_UNCALIBRATED, recalled, seen, left, fit.memory, threshold=np.inf)
    warming = np.zeros(len(readings), dtype=np.bool_) if counted is None else ~counted
    return Looks(
        components=judged.components[looked],
        plain=_as_strangers(fitted, readings.take(looked)),
        scored=recalled.status[looked] == _SCORED,
        slots=recalled.slots[looked],
        restarts=((recalled.fresh >= 0) | recalled.gap)[looked],
        block=block[looked],
        warming=warming[looked],
    )


def joined(parts: Iterable[Looks]) -> Looks:
    """Put looks one after the other."""
    return Looks(**stacked(list(parts), [field.name for field in fields(Looks)]))


def _as_strangers(fitted: Fitted, readings: Readings) -> NDArray[np.float64]:
    """Look at rows as if nothing were known of their sensors: against the level of all of them."""
    forgetful = Memory(replace(fitted.layout, min_rows=LONG_WARM_UP))
    recalled = recall(readings, fitted.levels, {}, forgetful)
    left = residuals(fitted.forecast, recalled)
    seen = score(fitted.forest, forecast_features(recalled, left))
    return np.stack([seen, left.distance], axis=1)


def _matrix(
    recalled: Recalled, left: Residuals, rows: NDArray[np.bool_] | slice
) -> NDArray[np.float64]:
    """Return what the forest sees of some rows."""
    return forecast_features(
        replace(recalled, standard=recalled.standard[rows]), replace(left, white=left.white[rows])
    )


_UNCALIBRATED = Decision(identity(10), np.ones(len(COMPONENTS)))
