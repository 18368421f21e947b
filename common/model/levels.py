"""Where each sensor's signals lie and how far they spread, as training found them."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused


@dataclass(frozen=True)
class Levels:
    """Location and scale of every column (signals, then context), per sensor."""

    sensor_ids: tuple[str, ...]
    """The sensors that training knew well enough; line k + 1 of the tables is sensor k's."""
    location: NDArray[np.float64]
    """(1 + sensors, columns); line 0 is that of all sensors together."""
    scale: NDArray[np.float64]
    """(1 + sensors, columns), above 0."""
    min_rows: int
    """Rows that a sensor unknown to training learns its own level from; 0: no sensor has one."""
    max_gap: int
    """Microseconds between two rows of a sensor beyond which the older ones say nothing; 0: any."""

    @cached_property
    def level_by_sensor(self) -> dict[str, int]:
        """The line of each sensor that training knew."""
        return {name: line for line, name in enumerate(self.sensor_ids, start=1)}

    @cached_property
    def min_scale(self) -> NDArray[np.float64]:
        """(columns,) the least scale that a new sensor may learn: the known ones' usual one.

        The few rows it learns from show little of what it does in a day.
        """
        scales = self.scale[1:] if len(self.sensor_ids) else self.scale
        median_scale: NDArray[np.float64] = np.median(scales, axis=0)
        return median_scale

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The arrays by name, as they are stored."""
        return {
            "level_sensors": np.asarray(self.sensor_ids, dtype=np.str_),
            "level_location": self.location,
            "level_scale": self.scale,
            "level_limits": np.asarray([self.min_rows, self.max_gap], dtype=np.int64),
        }


def levels_from_arrays(arrays: dict[str, NDArray[Any]], columns: int) -> Levels:
    """Build levels from stored arrays; raises ModelRefused where they are damaged."""
    try:
        names, limits = arrays["level_sensors"], arrays["level_limits"]
        location, scale = arrays["level_location"], arrays["level_scale"]
    except KeyError as error:
        raise ModelRefused(f"the levels have no array {error}") from error
    expected_shape = (1 + len(names), columns) if names.ndim == 1 else None
    valid = (
        names.dtype.kind == "U"
        and location.dtype == scale.dtype == np.float64
        and location.shape == scale.shape == expected_shape
        and bool(np.all(np.isfinite(location)))
        and bool(np.all(np.isfinite(scale) & (scale > 0)))
        and limits.dtype == np.int64
        and limits.shape == (2,)
        and bool(np.all(limits >= 0))
        and len(set(names.tolist())) == len(names)
    )
    if not valid:
        raise ModelRefused("the levels' arrays are damaged")
    return Levels(tuple(str(name) for name in names), location, scale, *limits.tolist())


def no_levels(location: NDArray[np.float64], *, max_gap: int = 0) -> Levels:
    """Levels of a plan that needs none.

    `location` (columns,): stands in for what is missing before a sensor's first value.
    """
    return Levels((), location[None].copy(), np.ones((1, len(location))), 0, max_gap)
