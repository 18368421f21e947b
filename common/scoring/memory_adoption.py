"""The conversion of a memory's tables for use with another model."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.level_guard import LevelGuard
from sensorwatch.common.model.levels import Levels
from sensorwatch.common.scoring.cadence import LEARNED_INTERVALS, MIN_INTERVALS
from sensorwatch.common.scoring.memory_layout import (
    MAX_ROWS_SINCE_ALARM,
    NO_REFERENCE,
    NO_ROW_YET,
    FloatColumn,
    IntColumn,
    Layout,
    initial_values,
)
from sensorwatch.common.scoring.open_incidents import OpenEpisode

_MODEL_INDEPENDENT_COLUMNS = [
    IntColumn.NEWEST_TIME,
    IntColumn.LAST_USED,
    IntColumn.EPISODE_START,
    IntColumn.EPISODE_START_TIME,
    IntColumn.EPISODE_LAST_TIME,
    IntColumn.EPISODE_ROWS,
    IntColumn.EPISODE_RULE,
    IntColumn.CADENCE_INTERVALS,
    IntColumn.CADENCE_RUN,
    IntColumn.SILENCE_LAST,
    IntColumn.SILENCE_CADENCE,
    IntColumn.SILENCE_LIMIT,
    IntColumn.SILENCE_DEADLINE,
    IntColumn.SILENCE_PAUSES,
    IntColumn.SILENT_POSITION,
    IntColumn.SILENT_NUMBER,
    IntColumn.CLOCK_DELAY,
]
"""Integer columns that have the same meaning for every model."""

MemoryTables = tuple[NDArray[np.float64], NDArray[np.int64]]
"""The two tables of a memory: see `Memory.floats` and `Memory.ints`."""


def adopt_tables(
    names: list[str],
    old_layout: Layout,
    tables: MemoryTables,
    layout: Layout,
    levels: Levels,
    guard: LevelGuard | None,
) -> MemoryTables:
    """Convert the tables of the sensors `names` for a model with `layout`, `levels` and `guard`.

    * Each sensor's open episode, the time of its newest row and its silence are kept.
    * A cadence is kept if it was learned from at least MIN_INTERVALS intervals, or if the new model
      has no cadence for the sensor. The gap factor is that of the new model.
    * Lagged rows, repeats and the last values of counters are kept if the columns are the same.
    * If both models use levels and the columns are the same, a sensor keeps its level unless the
      new model has a level for it. An incomplete level is kept only if `min_rows` is the same.
    * Reference levels are those of the new model. For a sensor that the new model does not know,
      the present location becomes the reference.
    * Smoothed scores, alarms and each sensor's own tail are reset.
    * The count of rows since an alarm is kept, except for a sensor with an open episode.
    * If the columns differ, the newest lagged row becomes the sensor's location in the new model,
      so that missing values can be imputed.
    """
    old_floats, old_ints = tables
    slot_count = max(len(old_floats), 1)
    floats = np.zeros((slot_count, layout.float_columns))
    ints = np.zeros((slot_count, layout.int_columns), dtype=np.int64)
    ints[:, _MODEL_INDEPENDENT_COLUMNS] = old_ints[:, _MODEL_INDEPENDENT_COLUMNS]
    floats[:, : FloatColumn.LOCATIONS] = initial_values(layout)[0][: FloatColumn.LOCATIONS]
    kept_floats = [
        FloatColumn.EPISODE_PEAK_SCORE,
        FloatColumn.EPISODE_RATE,
        FloatColumn.CADENCE,
    ]
    floats[:, kept_floats] = old_floats[:, kept_floats]
    ints[:, IntColumn.REFERENCE_ROWS] = NO_REFERENCE
    ints[:, layout.counters_time :] = NO_ROW_YET
    has_same_columns = (old_layout.signals, old_layout.contexts, old_layout.counters) == (
        layout.signals,
        layout.contexts,
        layout.counters,
    )
    if has_same_columns:
        floats[:, layout.lags_start : layout.drift_start] = old_floats[
            :, old_layout.lags_start : old_layout.drift_start
        ]
        ints[:, IntColumn.LAG_COUNT] = old_ints[:, IntColumn.LAG_COUNT]
        repeats = slice(IntColumn.REPEATS_START, layout.away_rows_start)
        ints[:, repeats] = old_ints[:, repeats]
        ints[:, layout.counters_time :] = old_ints[:, old_layout.counters_time :]
        floats[:, layout.counters_start :] = old_floats[:, old_layout.counters_start :]
    if has_same_columns and old_layout.min_rows and layout.min_rows:
        level_rows = old_ints[:, IntColumn.LEVEL_ROWS]
        # An incomplete level is learned again if the new model needs a different number of rows.
        keeps_level = (level_rows >= old_layout.min_rows) | (old_layout.min_rows == layout.min_rows)
        level_columns = slice(FloatColumn.LOCATIONS, layout.lags_start)
        floats[keeps_level, level_columns] = old_floats[keeps_level, level_columns]
        is_complete = level_rows[keeps_level] >= old_layout.min_rows
        ints[keeps_level, IntColumn.LEVEL_ROWS] = np.where(
            is_complete, layout.min_rows, level_rows[keeps_level]
        )
    # The plain plan has no refractory rows. So if the old model used it, the rows since an alarm
    # were not counted.
    may_start_alarm = (old_ints[:, IntColumn.EPISODE_ROWS] > 0) | (old_layout.min_rows == 0)
    ints[:, IntColumn.ROWS_SINCE_ALARM] = np.where(
        may_start_alarm, MAX_ROWS_SINCE_ALARM, old_ints[:, IntColumn.ROWS_SINCE_ALARM]
    )
    level_by_sensor = levels.level_by_sensor
    for slot, name in enumerate(names):
        level = level_by_sensor.get(name, 0)
        if level or not layout.min_rows:
            floats[slot, FloatColumn.LOCATIONS : layout.scales_start] = levels.location[level]
            floats[slot, layout.scales_start : layout.lags_start] = levels.scale[level]
            ints[slot, IntColumn.LEVEL_ROWS] = layout.min_rows
        if level and guard is not None:
            for start in (layout.references_start, layout.former_references_start):
                floats[slot, start : start + len(layout.signals)] = guard.location[level]
            ints[slot, IntColumn.REFERENCE_ROWS] = 0
        if not has_same_columns:
            floats[slot, layout.lags_start : layout.lags_start + layout.columns] = levels.location[
                level
            ]
    _adopt_cadences(names, floats, ints, levels)
    return floats, ints


def open_episodes(names: list[str], ints: NDArray[np.int64]) -> list[OpenEpisode]:
    """Return the open episodes of the sensors `names`, from the table of integers of a memory."""
    slots = np.flatnonzero(ints[: len(names), IntColumn.EPISODE_ROWS]).tolist()
    return [
        OpenEpisode(
            names[slot],
            int(ints[slot, IntColumn.EPISODE_START]),
            int(ints[slot, IntColumn.EPISODE_START_TIME]),
        )
        for slot in slots
    ]


def _adopt_cadences(
    names: list[str], floats: NDArray[np.float64], ints: NDArray[np.int64], levels: Levels
) -> None:
    """Set the new model's gap factors, and its cadences for sensors without a learned cadence."""
    sensors, level_by_sensor = slice(0, len(names)), levels.level_by_sensor
    level_of_slot = np.asarray([level_by_sensor.get(name, 0) for name in names], dtype=np.int64)
    floats[sensors, FloatColumn.GAP_FACTOR] = levels.gap_factor[level_of_slot]
    intervals = ints[sensors, IntColumn.CADENCE_INTERVALS]
    slots = np.flatnonzero((intervals < MIN_INTERVALS) & (levels.cadence[level_of_slot] > 0))
    floats[slots, FloatColumn.CADENCE] = levels.cadence[level_of_slot[slots]]
    ints[slots, IntColumn.CADENCE_INTERVALS] = LEARNED_INTERVALS
    ints[slots, IntColumn.CADENCE_RUN] = 0
