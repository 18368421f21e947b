"""Finds the rules of each sensor by shell globs, once per sensor."""

import fnmatch
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.limits import MAX_SENSORS


class SensorRules:
    """Finds which globs match a sensor.

    Sensors that the same globs match are in the same group, so that a micro-batch needs one lookup
    per sensor.
    """

    def __init__(self, globs: Sequence[str]) -> None:
        self._patterns = [re.compile(fnmatch.translate(glob)) for glob in globs]
        self._group_by_sensor: dict[str, int] = {}
        self._group_by_matches: dict[tuple[bool, ...], int] = {}
        self._matches = np.zeros((0, len(globs)), dtype=np.bool_)
        self._last: tuple[Sequence[str], NDArray[np.bool_]] = ((), self._matches)
        """The last sensors and their result: a micro-batch asks twice for the same sensors."""

    def matches(self, sensor_ids: Sequence[str]) -> NDArray[np.bool_]:
        """Return whether each glob matches each sensor, shape (sensors, globs)."""
        if sensor_ids is self._last[0]:
            return self._last[1]
        if len(self._group_by_sensor) > MAX_SENSORS:
            self._group_by_sensor.clear()
        known = self._group_by_sensor
        groups = [known[s] if s in known else self._add(s) for s in sensor_ids]
        self._last = sensor_ids, self._matches[np.asarray(groups, dtype=np.int64)]
        return self._last[1]

    def _add(self, sensor_id: str) -> int:
        key = tuple(pattern.match(sensor_id) is not None for pattern in self._patterns)
        group = self._group_by_matches.get(key)
        if group is None:
            group = self._group_by_matches[key] = len(self._matches)
            self._matches = np.vstack([self._matches, np.asarray([key], dtype=np.bool_)])
        self._group_by_sensor[sensor_id] = group
        return group
