"""Recall the columns of sampled rows from a memory that every row updates."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.levels import Levels
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.memory import KNOWN_SENSOR, Memory
from sensorwatch.common.scoring.recall import RecalledRows, recall

RECALL_CHUNK_ROWS = 20_000
"""Number of rows that are recalled at once. The columns of these rows fit into the processor's
cache."""


def recall_selected(
    readings: Readings, sample_mask: NDArray[np.bool_], levels: Levels, memory: Memory
) -> RecalledRows:
    """Return the recalled columns of the rows that the mask `sample_mask` (n,) selects.

    `memory`: an empty memory, which every row updates. The first sampled row of each sensor is
    treated as the first row of a new sensor, so that smoothing starts at this row.
    """
    if sample_mask.all():
        return recall(readings, levels, levels.level_by_sensor, memory)
    selected_chunks = []
    for start in range(0, len(readings), RECALL_CHUNK_ROWS):
        rows = slice(start, start + RECALL_CHUNK_ROWS)
        recalled = recall(readings.take(rows), levels, levels.level_by_sensor, memory)
        selected_chunks.append(_select_rows(recalled, sample_mask[rows]))
    result = _concatenate(selected_chunks)
    new_sensor_level = np.full(len(result.new_sensor_level), KNOWN_SENSOR, dtype=np.int32)
    new_sensor_level[np.unique(result.slots, return_index=True)[1]] = 0
    return replace(result, new_sensor_level=np.maximum(result.new_sensor_level, new_sensor_level))


def _select_rows(recalled: RecalledRows, sample_mask: NDArray[np.bool_]) -> RecalledRows:
    arrays = {name: getattr(recalled, name)[sample_mask] for name in _RECALLED_ARRAYS}
    return RecalledRows(evicted={}, **arrays)


def _concatenate(chunks: list[RecalledRows]) -> RecalledRows:
    return RecalledRows(evicted={}, **concatenated_columns(chunks, _RECALLED_ARRAYS))


def concatenated_columns(
    tables: Sequence[object], attribute_names: Iterable[str]
) -> dict[str, NDArray[Any]]:
    """Return, for each attribute in `attribute_names`, the concatenated arrays of all `tables`."""
    return {
        name: np.concatenate([getattr(table, name) for table in tables]) for name in attribute_names
    }


_RECALLED_ARRAYS = tuple(field.name for field in fields(RecalledRows) if field.name != "evicted")
