"""The stored location and scale of each column, and the cadence, by sensor."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.stored_arrays import require, stored_array

DEFAULT_GAP_FACTOR = 10.0
"""An interval is a gap if it is longer than this multiple of the sensor's cadence. A sensor with
irregular intervals in training has a larger multiple."""

CONSTANT_SCALE_SHARE = 0.001
"""Scale of a column that never changed, as a share of its absolute value."""
NO_SCALE = float(np.finfo(np.float64).tiny)
"""Scale of a column that was always exactly 0, so that its unit is unknown.

The distance of any other value from 0 counts as 1 / CONSTANT_SCALE_SHARE scales. In service, the
scale becomes CONSTANT_SCALE_SHARE times the first value that is not 0."""


@dataclass(frozen=True)
class Levels:
    """Location and scale of every column (signals, then context), and cadence, per sensor."""

    sensor_ids: tuple[str, ...]
    """Sensors that have their own level; sensor k has row k + 1 of `location` and `scale`."""
    location: NDArray[np.float64]
    """Shape (1 + sensors, columns). In the column's unit; row 0 is computed from all sensors."""
    scale: NDArray[np.float64]
    """Shape (1 + sensors, columns). In the column's unit, above 0; row 0 is for all sensors.
    NO_SCALE for a column that was always 0."""
    cadence: NDArray[np.float64]
    """Shape (1 + sensors,). Typical interval between two rows of the sensor, in microseconds; 0 if
    it is learned in service. The cadence in row 0 is 0, because an unknown sensor's cadence is
    learned in service."""
    gap_factor: NDArray[np.float64]
    """Shape (1 + sensors,). An interval is a gap if it is longer than this multiple of the sensor's
    cadence. Row 0 is for all sensors without their own row."""
    min_rows: int
    """Number of rows from which a new sensor's level is learned; 0 if the plan uses no levels."""
    max_gap: int
    """Longest interval between two rows that is not a gap, in microseconds, from the schema. 0 if
    the schema has no limit; then each sensor's cadence decides."""

    @cached_property
    def level_by_sensor(self) -> dict[str, int]:
        """For each sensor that has its own level, the level's row in `location` and `scale`."""
        return {name: row for row, name in enumerate(self.sensor_ids, start=1)}

    @cached_property
    def min_scale(self) -> NDArray[np.float64]:
        """Lower bound (columns,) of a new sensor's scale: the median of the known sensors' scales.

        A new sensor's scale is learned from few rows. These vary less than the rows of a day.
        """
        scales = self.scale[1:] if len(self.sensor_ids) else self.scale
        median_scale: NDArray[np.float64] = np.median(scales, axis=0)
        return median_scale

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Return the arrays of the levels by name, as a model version stores them."""
        return {
            "level_sensors": np.asarray(self.sensor_ids, dtype=np.str_),
            "level_location": self.location,
            "level_scale": self.scale,
            "level_cadence": self.cadence,
            "level_gap_factor": self.gap_factor,
            "level_limits": np.asarray([self.min_rows, self.max_gap], dtype=np.int64),
        }


def levels_from_arrays(arrays: dict[str, NDArray[Any]], columns: int) -> Levels:
    """Build levels from stored arrays; raises ModelRefused if one of them is wrong."""
    sensor_ids = stored_array(arrays, "level_sensors", np.str_, (None,)).tolist()
    shape = (1 + len(sensor_ids), columns)
    location = stored_array(arrays, "level_location", np.float64, shape)
    scale = stored_array(arrays, "level_scale", np.float64, shape)
    cadence = stored_array(arrays, "level_cadence", np.float64, shape[:1])
    gap_factor = stored_array(arrays, "level_gap_factor", np.float64, shape[:1])
    limits = stored_array(arrays, "level_limits", np.int64, (2,))
    repeated_count = len(sensor_ids) - len(set(sensor_ids))
    require(
        repeated_count == 0,
        "level_sensors",
        actual=f"{repeated_count} repeated ids",
        wanted="none",
    )
    smallest_scale = scale.min(initial=np.inf)
    require(
        smallest_scale > 0,
        "level_scale",
        actual=f"a scale of {smallest_scale}",
        wanted="positive ones",
    )
    require(
        np.all(cadence >= 0) and cadence[0] == 0,
        "level_cadence",
        actual=f"a cadence of {cadence.min()}, and {cadence[0]} for all sensors",
        wanted="0 or more, and 0 for all sensors",
    )
    require(
        np.all(gap_factor >= 1),
        "level_gap_factor",
        actual=f"a factor of {gap_factor.min()}",
        wanted="1 or more",
    )
    require(
        np.all(limits >= 0),
        "level_limits",
        actual=f"the limits {limits.tolist()}",
        wanted="0 or more",
    )
    return Levels(tuple(sensor_ids), location, scale, cadence, gap_factor, *limits.tolist())


def no_levels(
    location: NDArray[np.float64], *, max_gap: int = 0, gap_factor: float = DEFAULT_GAP_FACTOR
) -> Levels:
    """Return the levels for a feature plan that does not use levels.

    `location`: shape (columns,). The location replaces missing values before the first valid value
    of a sensor. `max_gap` (microseconds) and `gap_factor`: see `Levels`; each sensor's cadence is
    learned in service.
    """
    return Levels(
        sensor_ids=(),
        location=location[None].copy(),
        scale=np.ones((1, len(location))),
        cadence=np.zeros(1),
        gap_factor=np.asarray([gap_factor]),
        min_rows=0,
        max_gap=max_gap,
    )
