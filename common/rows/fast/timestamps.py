"""Plain times to microseconds since 1970-01-01 UTC, compiled; see `instants.py`."""

from enum import IntEnum

from sensorwatch.common.kernels import part
from sensorwatch.common.rows.limits import EARLIEST, LATEST


class TimeKind(IntEnum):
    """The formats that are read here."""

    RFC3339 = 0
    EPOCH_S = 1
    EPOCH_MS = 2


TIME_KINDS = {kind.name.lower(): kind for kind in TimeKind}
"""By the name that a schema gives them."""

_DAY_SECONDS = 86_400
_NONE = -(2**40)
"""No number of days or seconds."""


@part
def instant(data, at, end, kind, naive_is_utc):  # type: ignore[no-untyped-def]
    """Read data[at:end] as microseconds UTC; the second is False where it is not plain enough."""
    if kind != TimeKind.RFC3339:
        return _epoch(data, at, end, 1_000_000 if kind == TimeKind.EPOCH_S else 1_000)
    days, seconds = _date(data, at, end), _clock(data, at + 11, end)
    if _NONE in (days, seconds) or (data[at + 10] != 84 and data[at + 10] != 32):
        return 0, False
    fraction, at = _fraction(data, at + 19, end)
    offset, known = _offset(data, at, end, naive_is_utc)
    if not known:
        return 0, False
    found = (days * _DAY_SECONDS + seconds - offset) * 1_000_000 + fraction
    return found, EARLIEST <= found <= LATEST


@part
def _date(data, at, end):  # type: ignore[no-untyped-def]
    """Return days since 1970-01-01, of a date with a time behind it."""
    if end - at < 19 or data[at + 4] != 45 or data[at + 7] != 45:
        return _NONE
    year, month, day = _whole(data, at, 4), _whole(data, at + 5, 2), _whole(data, at + 8, 2)
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= _days_in(year, month)):
        return _NONE
    return _days_before(year, month) + day - 1


@part
def _clock(data, at, end):  # type: ignore[no-untyped-def]
    """Return seconds since midnight."""
    if end - at < 8 or data[at + 2] != 58 or data[at + 5] != 58:
        return _NONE
    hour, minute, second = _whole(data, at, 2), _whole(data, at + 3, 2), _whole(data, at + 6, 2)
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return _NONE
    return hour * 3600 + minute * 60 + second


@part
def _fraction(data, at, end):  # type: ignore[no-untyped-def]
    """Return microseconds of up to 6 digits, and their end: where there are none, before them."""
    if at >= end or data[at] != 46:
        return 0, at
    first, fraction = at + 1, 0
    at = first
    while at < end and 48 <= data[at] <= 57 and at - first < 6:
        fraction = fraction * 10 + (data[at] - 48)
        at += 1
    if at == first:
        return 0, first - 1
    for _ in range(6 - (at - first)):
        fraction *= 10
    return fraction, at


@part
def _offset(data, at, end, naive_is_utc):  # type: ignore[no-untyped-def]
    """Return seconds east of UTC, and whether what stands at the end of a time is plain."""
    if at == end:
        return 0, naive_is_utc
    if end - at == 1:
        return 0, data[at] == 90
    if end - at != 6 or data[at + 3] != 58 or (data[at] != 43 and data[at] != 45):
        return 0, False
    hours, minutes = _whole(data, at + 1, 2), _whole(data, at + 4, 2)
    size = hours * 3600 + minutes * 60
    plain = 0 <= hours <= 23 and 0 <= minutes <= 59
    return (-size if data[at] == 45 else size), plain


@part
def _epoch(data, at, end, scale):  # type: ignore[no-untyped-def]
    negative = at < end and data[at] == 45
    at += negative
    if not 1 <= end - at <= 14:
        return 0, False
    value = _whole(data, at, end - at)
    found = value * scale * (-1 if negative else 1)
    return found, value >= 0 and EARLIEST <= found <= LATEST


@part
def _whole(data, at, digits):  # type: ignore[no-untyped-def]
    """Read so many digits as a whole number; -1 where one of them is none."""
    value = 0
    for place in range(at, at + digits):
        if not 48 <= data[place] <= 57:
            return -1
        value = value * 10 + (data[place] - 48)
    return value


@part
def _days_in(year, month):  # type: ignore[no-untyped-def]
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@part
def _days_before(year, month):  # type: ignore[no-untyped-def]
    """Days from 1970-01-01 to the first of a month (Hinnant, "chrono-compatible algorithms")."""
    shifted = year - (1 if month <= 2 else 0)
    era = shifted // 400
    of_era = shifted - era * 400
    of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5
    return era * 146_097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719_468
