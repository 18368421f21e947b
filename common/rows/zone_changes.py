"""The changes of a zone's UTC offset in the years 1970 to 2099."""

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import NamedTuple
from zoneinfo import ZoneInfo

from sensorwatch.common.rows.instants import EPOCH
from sensorwatch.common.rows.zones import load_zone

FIRST_DAY, LAST_DAY = datetime(1970, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)


class ZoneChanges(NamedTuple):
    """n changes of an offset."""

    instants: tuple[int, ...]
    """n rising instants, in seconds since 1970-01-01 UTC."""
    offsets: tuple[int, ...]
    """The n + 1 offsets before and after each change: seconds by which clocks are ahead of UTC."""


@cache
def zone_changes(name: str) -> ZoneChanges:
    """Return the changes of a zone, by its IANA name. Raises the errors of `load_zone`.

    Two changes less than a day apart may be missed. Every other change is found.
    """
    zone = load_zone(name)
    day, instants, offsets = FIRST_DAY, list[int](), [_offset(FIRST_DAY, zone)]
    while day < LAST_DAY:
        next_offset = _offset(day + _DAY, zone)
        if next_offset != offsets[-1]:
            instants.append(_find_change(day, zone))
            offsets.append(next_offset)
        day += _DAY
    return ZoneChanges(tuple(instants), tuple(offsets))


def _find_change(day: datetime, zone: ZoneInfo) -> int:
    """Return the time of the change in the day from `day` on, in seconds since 1970-01-01 UTC."""
    before, after = day, day + _DAY
    old_offset = _offset(before, zone)
    while after - before > _SECOND:
        middle = before + (after - before) // (2 * _SECOND) * _SECOND
        before, after = (middle, after) if _offset(middle, zone) == old_offset else (before, middle)
    return (after - EPOCH) // _SECOND


def _offset(instant: datetime, zone: ZoneInfo) -> int:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset // _SECOND
