"""Valid sensor rows, stored in columns."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEFAULT_SENSOR = "default"


@dataclass(frozen=True, slots=True)
class Readings:
    """n readings in input order; a reading is one sensor's measurements at one instant."""

    index: NDArray[np.int64]
    """(n,) strictly rising position of each reading among the parsed records."""
    event_time: NDArray[np.int64]
    """(n,) event times in microseconds since 1970-01-01 UTC."""
    sensor: NDArray[np.int32]
    """(n,) position of each reading's sensor in `sensor_ids`."""
    sensor_ids: tuple[str, ...]
    """The ids of the distinct sensors, in order of first appearance."""
    values: NDArray[np.float64]
    """(n, signals) values of the signals; finite also in float32, or NaN if missing."""
    context: NDArray[np.float64]
    """(n, contexts) values of the context columns; finite also in float32, or NaN."""

    def __len__(self) -> int:
        return len(self.index)

    def take(self, rows: NDArray[np.int64] | NDArray[np.bool_] | slice) -> "Readings":
        """Return the readings at a position, mask or slice; `sensor_ids` does not change."""
        return Readings(
            self.index[rows],
            self.event_time[rows],
            self.sensor[rows],
            self.sensor_ids,
            self.values[rows],
            self.context[rows],
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
    """Return the readings of rows that are given one by one.

    `sensor_ids`: one id per row. `values`: one sequence per row, signals before context.
    """
    numbers: dict[str, int] = {}
    sensor = [numbers.setdefault(name, len(numbers)) for name in sensor_ids]
    table = np.asarray(values, dtype=np.float64).reshape(len(sensor), signals + contexts)
    return Readings(
        np.asarray(index, dtype=np.int64),
        np.asarray(event_time, dtype=np.int64),
        np.asarray(sensor, dtype=np.int32),
        tuple(numbers),
        np.ascontiguousarray(table[:, :signals]),
        np.ascontiguousarray(table[:, signals:]),
    )


def merge_readings(parts: Sequence[Readings]) -> Readings:
    """Merge readings in the order of their index; at least one part is needed.

    A sensor that occurs in several parts gets one number.
    """
    index = np.concatenate([part.index for part in parts])
    order = slice(None) if np.all(np.diff(index) > 0) else np.argsort(index)
    names = [name for part in parts for name in part.sensor_ids]
    begins = np.cumsum([0, *(len(part.sensor_ids) for part in parts)])
    shifted_sensors = [part.sensor + begin for part, begin in zip(parts, begins, strict=False)]
    sensor = np.concatenate(shifted_sensors)[order]
    numbers: dict[str, int] = {}
    new_number = np.zeros(len(names), dtype=np.int32)
    present_sensors, first_rows = np.unique(sensor, return_index=True)
    for number in present_sensors[np.argsort(first_rows)].tolist():
        new_number[number] = numbers.setdefault(names[number], len(numbers))
    return Readings(
        index[order],
        np.concatenate([part.event_time for part in parts])[order],
        new_number[sensor],
        tuple(numbers),
        np.concatenate([part.values for part in parts])[order],
        np.concatenate([part.context for part in parts])[order],
    )
