"""What a memory knew of some rows, after it has taken in all of them."""

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.levels import Levels
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.memory import KNOWN_SENSOR, Memory
from sensorwatch.common.scoring.recall import Recalled, recall

RECALL_CHUNK_ROWS = 20_000
"""So many rows are recalled together: their tables stay in the processor's cache."""


def recall_selected(
    readings: Readings, sampled: NDArray[np.bool_], levels: Levels, memory: Memory
) -> Recalled:
    """Let a cold memory take in every row, and tell what it knew of those that are `sampled` (n,).

    The first one of each sensor that is kept counts as fresh: whatever is smoothed begins there.
    """
    if sampled.all():
        return recall(readings, levels, levels.level_by_sensor, memory)
    parts = []
    for start in range(0, len(readings), RECALL_CHUNK_ROWS):
        rows = slice(start, start + RECALL_CHUNK_ROWS)
        recalled = recall(readings.take(rows), levels, levels.level_by_sensor, memory)
        parts.append(_select_rows(recalled, sampled[rows]))
    result = _concatenate(parts)
    new_sensor_level = np.full(len(result.new_sensor_level), KNOWN_SENSOR, dtype=np.int32)
    new_sensor_level[np.unique(result.slots, return_index=True)[1]] = 0
    return replace(result, new_sensor_level=np.maximum(result.new_sensor_level, new_sensor_level))


def _select_rows(recalled: Recalled, sampled: NDArray[np.bool_]) -> Recalled:
    arrays = {name: getattr(recalled, name)[sampled] for name in _RECALLED_ARRAYS}
    return Recalled(evicted={}, **arrays)


def _concatenate(parts: list[Recalled]) -> Recalled:
    return Recalled(evicted={}, **concatenated_columns(parts, _RECALLED_ARRAYS))


def concatenated_columns(parts: Sequence[object], names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """Put columns of these names one after the other, part by part."""
    return {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}


_RECALLED_ARRAYS = tuple(field.name for field in fields(Recalled) if field.name != "evicted")
