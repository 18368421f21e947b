"""Finds the rules of each sensor by shell globs, once per sensor."""

import fnmatch
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.limits import MAX_SENSORS


class SensorRules:
    """Finds which globs match a sensor.

    Several threads may call `matches` at once, because the API scores requests in threads: each
    step that changes an attribute is atomic, and a result never depends on another thread.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self._patterns = [re.compile(fnmatch.translate(glob)) for glob in globs]
        self._row_by_sensor: dict[str, bytes] = {}
        """For each known sensor, one byte per glob: 1 if the glob matches."""
        no_rows = np.zeros((0, len(globs)), dtype=np.bool_)
        self._last: tuple[Sequence[str], NDArray[np.bool_]] = ((), no_rows)
        """The last sensors and their result: a micro-batch asks twice for the same sensors."""

    def matches(self, sensor_ids: Sequence[str]) -> NDArray[np.bool_]:
        """Return whether each glob matches each sensor, shape (sensors, globs)."""
        last_ids, last_result = self._last
        if sensor_ids is last_ids:
            return last_result
        shape = len(sensor_ids), len(self._patterns)
        if 0 in shape:
            return np.zeros(shape, dtype=np.bool_)
        if len(self._row_by_sensor) > MAX_SENSORS:
            self._row_by_sensor = {}
        known = self._row_by_sensor
        rows = [known.get(sensor_id) or self._add(sensor_id) for sensor_id in sensor_ids]
        result = np.frombuffer(b"".join(rows), dtype=np.bool_).reshape(shape)
        self._last = sensor_ids, result
        return result

    def _add(self, sensor_id: str) -> bytes:
        row = bytes(pattern.match(sensor_id) is not None for pattern in self._patterns)
        self._row_by_sensor[sensor_id] = row
        return row
