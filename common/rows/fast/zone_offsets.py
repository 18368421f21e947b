"""The UTC offsets of a zone's local times, as a table for the kernels."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.rows.instants import EPOCH
from sensorwatch.common.rows.zones import load_zone

UNKNOWN_OFFSET = -(2**62)
"""The offset of local times that the strict parser reads.

The clock shows them twice or skips them, or they are outside of the years of the table."""
_FIRST_DAY, _LAST_DAY = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class ZoneOffsets(NamedTuple):
    """n intervals of local times; an interval ends where the next one begins."""

    starts: NDArray[np.int64]
    """Shape (n,), rising. The start of each interval, in seconds from 1970-01-01 by the clock."""
    offsets: NDArray[np.int64]
    """Shape (n,). Seconds by which the clock is ahead of UTC, or UNKNOWN_OFFSET."""


NO_ZONE = ZoneOffsets(*(np.asarray([value]) for value in (-(2**62), UNKNOWN_OFFSET)))
"""The table for times without a zone that are not valid."""
UTC_ZONE = ZoneOffsets(*(np.asarray([value]) for value in (-(2**62), 0)))


@cache
def zone_offsets(name: str) -> ZoneOffsets:
    """Return the offsets of a zone in the years 1970 to 2099. Raises the errors of `load_zone`.

    A change of the offset is found if no other change is less than a day away.
    """
    zone = load_zone(name)
    offset = _offset(_FIRST_DAY, zone)
    starts, offsets = [NO_ZONE.starts[0], offset], [UNKNOWN_OFFSET, offset]
    day = _FIRST_DAY
    while day < _LAST_DAY:
        next_offset = _offset(day + _DAY, zone)
        if next_offset != offset:
            change = _find_change(day, zone)
            starts += [change + min(offset, next_offset), change + max(offset, next_offset)]
            offsets += [UNKNOWN_OFFSET, next_offset]
            offset = next_offset
        day += _DAY
    starts.append(_seconds(_LAST_DAY) + offset)
    offsets.append(UNKNOWN_OFFSET)
    return ZoneOffsets(np.asarray(starts), np.asarray(offsets))


def _find_change(day: datetime, zone: ZoneInfo) -> int:
    """Return the second, since 1970-01-01 UTC, at which the offset changes within a day."""
    before, after = day, day + _DAY
    old_offset = _offset(before, zone)
    while after - before > _SECOND:
        middle = before + (after - before) // (2 * _SECOND) * _SECOND
        before, after = (middle, after) if _offset(middle, zone) == old_offset else (before, middle)
    return _seconds(after)


def _offset(instant: datetime, zone: ZoneInfo) -> int:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset // _SECOND


def _seconds(instant: datetime) -> int:
    return (instant - EPOCH) // _SECOND


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
