"""From the digits of an RFC 3339 time to microseconds since 1970-01-01 UTC, as a kernel."""

import numpy as np

from common.kernels import part

UNUSUAL = -1
_LONGEST_FRACTION = 20
_DAYS = np.asarray([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_ZERO, _NINE = ord("0"), ord("9")
_DASH, _COLON, _DOT, _PLUS = ord("-"), ord(":"), ord("."), ord("+")
_SPACE, _T, _T_SMALL, _Z, _Z_SMALL, _QUOTE = (ord(letter) for letter in ' TtZz"')


@part
def instant(data, at, end, naive_is_utc):  # type: ignore[no-untyped-def]
    """Read the time that begins at `at` and ends with a quote before `end`.

    Returns the quote's position and the time; the position is UNUSUAL where it is no time, or one
    that `common.rows.instants` has to read. `naive_is_utc`: what the schema says of times without
    a zone.
    """
    if at + 20 > end:
        return UNUSUAL, 0
    year = _two(data, at) * 100 + _two(data, at + 2)
    month, day = _two(data, at + 5), _two(data, at + 8)
    hour, minute, second = _two(data, at + 11), _two(data, at + 14), _two(data, at + 17)
    apart = data[at + 10]
    if (
        not _DASH == data[at + 4] == data[at + 7]
        or not _COLON == data[at + 13] == data[at + 16]
        or apart not in (_T, _SPACE, _T_SMALL)
        or _two(data, at) < 0
        or _two(data, at + 2) < 0
        or not (year >= 1 and 1 <= month <= 12 and 1 <= day <= _days(year, month))
        or not (0 <= hour <= 23 and 0 <= minute <= 59 and 0 <= second <= 59)
    ):
        return UNUSUAL, 0
    at, fraction = _fraction(data, at + 19, end)
    if at < 0:
        return UNUSUAL, 0
    at, offset = _offset(data, at, end, naive_is_utc)
    if at < 0 or at >= end or data[at] != _QUOTE:
        return UNUSUAL, 0
    # A zone may bring a time out of the years 1 to 9999; who says so has words for it.
    if offset != 0 and not 1 < year < 9999:
        return UNUSUAL, 0
    seconds = ((_day_number(year, month, day) * 24 + hour) * 60 + minute - offset) * 60 + second
    return at, seconds * 1_000_000 + fraction


@part
def _two(data, at):  # type: ignore[no-untyped-def]
    """Return the number that two digits are; where they are none, something far below 0."""
    tens, ones = np.int64(data[at]) - _ZERO, np.int64(data[at + 1]) - _ZERO
    if 0 <= tens <= 9 and 0 <= ones <= 9:
        return tens * 10 + ones
    return -100_000


@part
def _days(year, month):  # type: ignore[no-untyped-def]
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return 29 if month == 2 and leap else _DAYS[month - 1]


@part
def _day_number(year, month, day):  # type: ignore[no-untyped-def]
    """Count the days since 1970-01-01 in the proleptic Gregorian calendar; years begin in March."""
    if month <= 2:
        year -= 1
    of_year = (153 * ((month + 9) % 12) + 2) // 5 + day - 1
    return year * 365 + year // 4 - year // 100 + year // 400 + of_year - 719_468


@part
def _fraction(data, at, end):  # type: ignore[no-untyped-def]
    """Read the fraction of a second, if there is one; what is under a microsecond is cut off."""
    if data[at] != _DOT:
        return at, 0
    at += 1
    first, microseconds = at, np.int64(0)
    while at < end and _ZERO <= data[at] <= _NINE:
        if at - first < 6:
            microseconds = microseconds * 10 + np.int64(data[at]) - _ZERO
        at += 1
    digits = at - first
    if not 1 <= digits <= _LONGEST_FRACTION or at >= end:
        return UNUSUAL, 0
    for _ in range(digits, 6):
        microseconds *= 10
    return at, microseconds


@part
def _offset(data, at, end, naive_is_utc):  # type: ignore[no-untyped-def]
    """Read the zone; return the position after it and its minutes east of UTC."""
    sign = data[at]
    if sign in (_Z, _Z_SMALL):
        return at + 1, 0
    if sign == _QUOTE and naive_is_utc:
        return at, 0
    if sign not in (_PLUS, _DASH) or at + 6 >= end or data[at + 3] != _COLON:
        return UNUSUAL, 0
    hours, minutes = _two(data, at + 1), _two(data, at + 4)
    if not (0 <= hours <= 23 and 0 <= minutes <= 59):
        return UNUSUAL, 0
    east = hours * 60 + minutes
    return at + 6, -east if sign == _DASH else east
