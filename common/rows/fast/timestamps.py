"""Plain times to microseconds since 1970-01-01 UTC, compiled; see `instants.py`."""

from enum import IntEnum

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.rows.limits import EARLIEST, LATEST


class TimeKind(IntEnum):
    """The formats that are read here."""

    RFC3339 = 0
    EPOCH_S = 1
    EPOCH_MS = 2


TIME_KIND_OF_FORMAT = {time_kind.name.lower(): time_kind for time_kind in TimeKind}
"""By the name that a schema gives them."""

_DAY_SECONDS = 86_400
_INVALID = -(2**40)
"""No number of days or seconds."""


@inlined_kernel
def read_instant(data, pos, end, time_kind, naive_is_utc):  # type: ignore[no-untyped-def]
    """Read data[at:end] as microseconds UTC; the second is False where it is not plain enough."""
    if time_kind != TimeKind.RFC3339:
        return _read_epoch(data, pos, end, 1_000_000 if time_kind == TimeKind.EPOCH_S else 1_000)
    days, seconds = _read_date(data, pos, end), _read_time_of_day(data, pos + 11, end)
    if _INVALID in (days, seconds) or (data[pos + 10] != 84 and data[pos + 10] != 32):
        return 0, False
    fraction, pos = _read_fraction(data, pos + 19, end)
    offset, ok = _read_utc_offset(data, pos, end, naive_is_utc)
    if not ok:
        return 0, False
    microseconds = (days * _DAY_SECONDS + seconds - offset) * 1_000_000 + fraction
    return microseconds, EARLIEST <= microseconds <= LATEST


@inlined_kernel
def _read_date(data, pos, end):  # type: ignore[no-untyped-def]
    """Return days since 1970-01-01, of a date with a time behind it."""
    if end - pos < 19 or data[pos + 4] != 45 or data[pos + 7] != 45:
        return _INVALID
    year, month, day = (
        _read_int(data, pos, 4),
        _read_int(data, pos + 5, 2),
        _read_int(data, pos + 8, 2),
    )
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= _days_in_month(year, month)):
        return _INVALID
    return _days_before_month(year, month) + day - 1


@inlined_kernel
def _read_time_of_day(data, pos, end):  # type: ignore[no-untyped-def]
    """Return seconds since midnight."""
    if end - pos < 8 or data[pos + 2] != 58 or data[pos + 5] != 58:
        return _INVALID
    hour, minute, second = (
        _read_int(data, pos, 2),
        _read_int(data, pos + 3, 2),
        _read_int(data, pos + 6, 2),
    )
    if not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59):
        return _INVALID
    return hour * 3600 + minute * 60 + second


@inlined_kernel
def _read_fraction(data, pos, end):  # type: ignore[no-untyped-def]
    """Return microseconds of up to 6 digits, and their end: where there are none, before them."""
    if pos >= end or data[pos] != 46:
        return 0, pos
    first, fraction = pos + 1, 0
    pos = first
    while pos < end and 48 <= data[pos] <= 57 and pos - first < 6:
        fraction = fraction * 10 + (data[pos] - 48)
        pos += 1
    if pos == first:
        return 0, first - 1
    for _ in range(6 - (pos - first)):
        fraction *= 10
    return fraction, pos


@inlined_kernel
def _read_utc_offset(data, pos, end, naive_is_utc):  # type: ignore[no-untyped-def]
    """Return seconds east of UTC, and whether what stands at the end of a time is plain."""
    if pos == end:
        return 0, naive_is_utc
    if end - pos == 1:
        return 0, data[pos] == 90
    if end - pos != 6 or data[pos + 3] != 58 or (data[pos] != 43 and data[pos] != 45):
        return 0, False
    hours, minutes = _read_int(data, pos + 1, 2), _read_int(data, pos + 4, 2)
    size = hours * 3600 + minutes * 60
    ok = 0 <= hours <= 23 and 0 <= minutes <= 59
    return (-size if data[pos] == 45 else size), ok


@inlined_kernel
def _read_epoch(data, pos, end, scale):  # type: ignore[no-untyped-def]
    negative = pos < end and data[pos] == 45
    pos += negative
    if not 1 <= end - pos <= 14:
        return 0, False
    value = _read_int(data, pos, end - pos)
    microseconds = value * scale * (-1 if negative else 1)
    return microseconds, value >= 0 and EARLIEST <= microseconds <= LATEST


@inlined_kernel
def _read_int(data, pos, digits):  # type: ignore[no-untyped-def]
    """Read so many digits as a whole number; -1 where one of them is none."""
    value = 0
    for i in range(pos, pos + digits):
        if not 48 <= data[i] <= 57:
            return -1
        value = value * 10 + (data[i] - 48)
    return value


@inlined_kernel
def _days_in_month(year, month):  # type: ignore[no-untyped-def]
    if month == 2:
        return 29 if year % 4 == 0 and (year % 100 != 0 or year % 400 == 0) else 28
    return 30 if month in (4, 6, 9, 11) else 31


@inlined_kernel
def _days_before_month(year, month):  # type: ignore[no-untyped-def]
    """Days from 1970-01-01 to the first of a month (Hinnant, "chrono-compatible algorithms")."""
    shifted = year - (1 if month <= 2 else 0)
    era = shifted // 400
    day_of_era = shifted - era * 400
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5
    return (
        era * 146_097
        + day_of_era * 365
        + day_of_era // 4
        - day_of_era // 100
        + day_of_year
        - 719_468
    )
