"""Expands the windows of a calendar to intervals of UTC times."""

from collections.abc import Iterable, Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo

MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_microseconds(moment: datetime) -> int:
    """Return an aware datetime as microseconds since 1970 UTC."""
    return (moment - _EPOCH) // MICROSECOND


def daily_intervals(
    days: Iterable[date], begin: time, end: time, zone: tzinfo
) -> list[tuple[int, int]]:
    """Return the interval of local times on each day, in microseconds UTC.

    If `end` is not after `begin`, the interval ends on the next day. A time that occurs twice, when
    clocks are set back, means its first occurrence as a begin and its second one as an end.
    """
    intervals = []
    for day in days:
        last_day = day if end > begin else day + timedelta(days=1)
        first = datetime.combine(day, begin.replace(fold=0), zone)
        last = datetime.combine(last_day, end.replace(fold=1), zone)
        intervals.append((to_microseconds(first), to_microseconds(last)))
    return intervals


def merge_intervals(intervals: Sequence[tuple[int, int]]) -> tuple[tuple[int, int], ...]:
    """Return the intervals in ascending order; intervals that overlap or touch become one."""
    merged: list[tuple[int, int]] = []
    for begin, end in sorted(intervals):
        if merged and begin <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], end)
        elif begin < end:
            merged.append((begin, end))
    return tuple(merged)


def days_between(first: date, last: date) -> list[date]:
    """Return all days from `first` to `last`, including both."""
    return [first + timedelta(days=number) for number in range((last - first).days + 1)]
