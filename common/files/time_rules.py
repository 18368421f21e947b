"""Rules for the times of a file: hours that the clock repeats, and times in the future."""

from dataclasses import replace
from datetime import timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.batches import Batch
from sensorwatch.common.rows.field_declarations import RepeatedHour
from sensorwatch.common.rows.instants import EPOCH, format_instant
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Fault, Reason, Rejection, make_fault
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.zones import load_zone

_QUARTER_US = 900_000_000
"""Clocks are set back at a whole quarter of an hour."""


class FileTimeRules:
    """Applies the rules to consecutive batches of a file.

    Rows have no time of receipt in a file. The order of the rows shows whether a repeated local
    time is the second one, and `as_of` replaces the time of receipt in the check of future times.
    """

    def __init__(self, schema: Schema, as_of: int | None) -> None:
        """`as_of`: microseconds UTC; a row with a later time is rejected. If None, no row is."""
        time = schema.time
        zone_name = time.naive_zone if time.fold is RepeatedHour.INFER else None
        self._zone = None if zone_name in (None, "UTC") else load_zone(str(zone_name))
        self._newest_time: dict[str, int] = {}
        self._field = time.fields[0]
        self._max_future_seconds = time.max_future_seconds
        self._as_of = as_of
        max_future_us = int(time.max_future_seconds * 1_000_000)
        self._latest_time = None if as_of is None else as_of + max_future_us

    def apply(self, batch: Batch) -> Batch:
        """Return the next batch of the file with the rules applied."""
        readings, rejections = batch
        if self._zone is not None and len(readings):
            readings = self._resolve_repeated_hours(readings, self._zone)
        if self._latest_time is None:
            return readings, rejections
        return self._reject_future(readings, rejections, self._latest_time)

    def _resolve_repeated_hours(self, readings: Readings, zone: ZoneInfo) -> Readings:
        """Add the repeated hour to each time that would otherwise go back in time."""
        event_time = readings.event_time
        repetitions = _repetitions(event_time, zone)
        if not repetitions.any():
            sensors, last_rows = np.unique(readings.sensor[::-1], return_index=True)
            last_times = event_time[len(event_time) - 1 - last_rows].tolist()
            sensor_names = [readings.sensor_ids[sensor] for sensor in sensors.tolist()]
            self._newest_time.update(zip(sensor_names, last_times, strict=True))
            return readings
        resolved_times = event_time.copy()
        sensor_names = [readings.sensor_ids[sensor] for sensor in readings.sensor.tolist()]
        for row, (sensor_name, first_time, repetition) in enumerate(
            zip(sensor_names, event_time.tolist(), repetitions.tolist(), strict=True)
        ):
            previous_time = self._newest_time.get(sensor_name, first_time)
            if repetition and first_time < previous_time <= first_time + repetition:
                resolved_times[row] += repetition
            self._newest_time[sensor_name] = int(resolved_times[row])
        return replace(readings, event_time=resolved_times)

    def _reject_future(
        self, readings: Readings, rejections: list[Rejection], latest_time: int
    ) -> Batch:
        is_late = readings.event_time > latest_time
        if not is_late.any():
            return readings, rejections
        future_rejections = [
            Rejection(index, (self._future_fault(event_time),))
            for index, event_time in zip(
                readings.index[is_late].tolist(), readings.event_time[is_late].tolist(), strict=True
            )
        ]
        return (
            readings.take(~is_late),
            sorted([*rejections, *future_rejections], key=lambda rejection: rejection.index),
        )

    def _future_fault(self, event_time: int) -> Fault:
        assert self._as_of is not None
        detail = (
            f"{format_instant(event_time)} is more than {self._max_future_seconds:g} s after "
            f"{format_instant(self._as_of)}, the time of --as-of"
        )
        return make_fault(Reason.FUTURE_TIMESTAMP, self._field, detail)


def _repetitions(event_time: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int64]:
    """Return the microseconds until the local time of each row occurs again; shape (n,).

    The result is 0 for a local time that occurs once, or that is the second occurrence.
    """
    quarters, positions = np.unique(event_time // _QUARTER_US, return_inverse=True)
    repetition_of_quarter = [_repetition(quarter, zone) for quarter in quarters.tolist()]
    return np.asarray(repetition_of_quarter, dtype=np.int64)[positions]


@lru_cache(maxsize=1 << 16)
def _repetition(quarter: int, zone: ZoneInfo) -> int:
    local_time = (EPOCH + timedelta(microseconds=quarter * _QUARTER_US)).astimezone(zone)
    if local_time.fold:
        return 0
    first_offset, second_offset = local_time.utcoffset(), local_time.replace(fold=1).utcoffset()
    assert first_offset is not None
    assert second_offset is not None
    return max(0, (first_offset - second_offset) // timedelta(microseconds=1))
