"""The declaration of a row's time, for the kernels."""

from enum import IntEnum
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.fast.patterns import NO_PATTERN, compile_pattern
from sensorwatch.common.rows.fast.zone_offsets import NO_ZONE, UTC_ZONE, zone_offsets
from sensorwatch.common.rows.field_declarations import NAMED_TIME_FORMATS, TimeField


class TimeKind(IntEnum):
    """The time formats that the kernel reads."""

    RFC3339 = 0
    EPOCH_S = 1
    EPOCH_MS = 2
    PATTERN = 3


class TimeForm(NamedTuple):
    """How a time is written."""

    kind: int
    """See TimeKind."""
    pattern: NDArray[np.int64]
    """Shape (codes,). See `compile_pattern`; empty for a format that is not a pattern."""
    zone_starts: NDArray[np.int64]
    """Shape (intervals,). See ZoneOffsets, for times without a zone."""
    zone_offsets: NDArray[np.int64]
    """Shape (intervals,). See ZoneOffsets."""


@lru_cache(maxsize=64)
def time_form(time_field: TimeField) -> TimeForm | None:
    """Return the form of times in the first format; None if the kernel cannot read the format."""
    time_format, zone = time_field.formats[0], time_field.naive_zone
    pattern: NDArray[np.int64] | None = NO_PATTERN
    if time_format not in NAMED_TIME_FORMATS:
        kind, pattern = TimeKind.PATTERN, compile_pattern(time_format)
    elif time_format.upper() in TimeKind.__members__:
        kind = TimeKind[time_format.upper()]
    else:
        return None
    if pattern is None:
        return None
    offsets = NO_ZONE if zone is None else UTC_ZONE if zone == "UTC" else zone_offsets(zone)
    return TimeForm(int(kind), pattern, *offsets)
