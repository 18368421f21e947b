"""Valid sensor rows, stored in columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEFAULT_SENSOR = "default"
WHOLE_RECORD = -1
"""The value of `Readings.row_in_record` for a record that is one row."""


@dataclass(frozen=True, slots=True)
class Readings:
    """n readings in input order; a reading is one sensor's measurements at one instant."""

    index: NDArray[np.int64]
    """Shape (n,). Record position of each reading, ascending; strictly if each record is a row."""
    event_time: NDArray[np.int64]
    """Shape (n,). Event times in microseconds since 1970-01-01 UTC."""
    sensor: NDArray[np.int32]
    """Shape (n,). Position of each reading's sensor in `sensor_ids`."""
    sensor_ids: tuple[str, ...]
    """The ids of the distinct sensors, in order of first appearance."""
    values: NDArray[np.float64]
    """Shape (n, signals). Values of the signals, finite also as float32; NaN if missing."""
    context: NDArray[np.float64]
    """Shape (n, contexts). Values of the context columns, finite also as float32, or NaN."""
    row_in_record: NDArray[np.int64] | None = None
    """Shape (n,). Index of each reading in the array of its record, or WHOLE_RECORD; None if every
    record is one row."""

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Readings":
        """Return the readings at `rows` (positions, mask or slice); `sensor_ids` stays the same."""
        return Readings(
            self.index[rows],
            self.event_time[rows],
            self.sensor[rows],
            self.sensor_ids,
            self.values[rows],
            self.context[rows],
            None if self.row_in_record is None else self.row_in_record[rows],
        )


def build_readings(
    *,
    index: Sequence[int],
    event_time: Sequence[int],
    sensor_ids: Sequence[str],
    values: Sequence[Sequence[float]],
    signals: int,
    contexts: int = 0,
) -> Readings:
    """Build readings from sequences that have one entry per row.

    `values`: for each row, the values of the signals, then of the context columns.
    """
    number_by_id: dict[str, int] = {}
    sensor = [number_by_id.setdefault(sensor_id, len(number_by_id)) for sensor_id in sensor_ids]
    value_table = np.asarray(values, dtype=np.float64).reshape(len(sensor), signals + contexts)
    return Readings(
        np.asarray(index, dtype=np.int64),
        np.asarray(event_time, dtype=np.int64),
        np.asarray(sensor, dtype=np.int32),
        tuple(number_by_id),
        np.ascontiguousarray(value_table[:, :signals]),
        np.ascontiguousarray(value_table[:, signals:]),
    )


def merge_readings(parts: Sequence[Readings]) -> Readings:
    """Merge readings in the order of their index; at least one part is needed.

    A sensor that occurs in several parts occurs only once in the `sensor_ids` of the result.
    """
    index = np.concatenate([part.index for part in parts])
    sort_order = slice(None) if np.all(np.diff(index) > 0) else np.argsort(index)
    all_ids = [name for part in parts for name in part.sensor_ids]
    id_offsets = np.cumsum([0, *(len(part.sensor_ids) for part in parts)])
    shifted_sensors = [
        part.sensor + id_offset for part, id_offset in zip(parts, id_offsets, strict=False)
    ]
    sensor = np.concatenate(shifted_sensors)[sort_order]
    number_by_id: dict[str, int] = {}
    new_numbers = np.zeros(len(all_ids), dtype=np.int32)
    present_sensors, first_rows = np.unique(sensor, return_index=True)
    for number in present_sensors[np.argsort(first_rows)].tolist():
        new_numbers[number] = number_by_id.setdefault(all_ids[number], len(number_by_id))
    return Readings(
        index[sort_order],
        np.concatenate([part.event_time for part in parts])[sort_order],
        new_numbers[sensor],
        tuple(number_by_id),
        np.concatenate([part.values for part in parts])[sort_order],
        np.concatenate([part.context for part in parts])[sort_order],
    )
