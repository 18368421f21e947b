"""The UTC offsets of a zone's local times, as a table for the kernels."""

from datetime import timedelta
from functools import cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.rows.instants import EPOCH
from sensorwatch.common.rows.zone_changes import LAST_DAY, zone_changes

UNKNOWN_OFFSET = -(2**62)
"""The offset of local times that the strict parser reads.

The clock shows them twice or skips them, or they are outside of the years of the table."""


class ZoneOffsets(NamedTuple):
    """n intervals of local times; an interval ends where the next one begins."""

    starts: NDArray[np.int64]
    """Shape (n,), rising. The start of each interval, in seconds from 1970-01-01 by the clock."""
    offsets: NDArray[np.int64]
    """Shape (n,). Seconds by which the clock is ahead of UTC, or UNKNOWN_OFFSET."""


NO_ZONE = ZoneOffsets(*(np.asarray([value]) for value in (-(2**62), UNKNOWN_OFFSET)))
"""The table for a schema in which times without a zone are not valid."""
UTC_ZONE = ZoneOffsets(*(np.asarray([value]) for value in (-(2**62), 0)))


@cache
def zone_offsets(name: str) -> ZoneOffsets:
    """Return the offsets of a zone in the years 1970 to 2099. Raises the errors of `load_zone`."""
    changes = zone_changes(name)
    offset = changes.offsets[0]
    starts, offsets = [NO_ZONE.starts[0], offset], [UNKNOWN_OFFSET, offset]
    for change, next_offset in zip(changes.instants, changes.offsets[1:], strict=True):
        starts += [change + min(offset, next_offset), change + max(offset, next_offset)]
        offsets += [UNKNOWN_OFFSET, next_offset]
        offset = next_offset
    starts.append((LAST_DAY - EPOCH) // timedelta(seconds=1) + offset)
    offsets.append(UNKNOWN_OFFSET)
    return ZoneOffsets(np.asarray(starts), np.asarray(offsets))


@inlined_kernel
def local_offset(local_seconds, starts, offsets):  # type: ignore[no-untyped-def]
    """Return the offset of a local time, or UNKNOWN_OFFSET; see `ZoneOffsets`."""
    first, last = 0, len(starts)
    while last - first > 1:
        middle = (first + last) // 2
        if starts[middle] <= local_seconds:
            first = middle
        else:
            last = middle
    return offsets[first]
