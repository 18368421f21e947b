"""Kernels that read and write times as microseconds since 1970-01-01 UTC; see `instants.py`."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.rows.limits import EARLIEST_TIME, LATEST_TIME


class TimeKind(IntEnum):
    """The time formats that the kernel reads."""

    RFC3339 = 0
    EPOCH_S = 1
    EPOCH_MS = 2


TIME_KIND_OF_FORMAT = {time_kind.name.lower(): time_kind for time_kind in TimeKind}
"""Maps each time format that the kernel reads, by its name in a schema, to its TimeKind."""

_DAY_SECONDS = 86_400
_TEXT_LENGTH = 27  # 2025-01-01T00:00:00.123456Z
_TEXT_LENGTH_WITHOUT_FRACTION = 20  # 2025-01-01T00:00:00Z
_DAY_US = 86_400_000_000
_INVALID = -(2**40)
"""Returned instead of days or seconds if the text is not a valid date or time."""


@inlined_kernel
def read_instant(data, pos, end, time_kind, naive_is_utc):  # type: ignore[no-untyped-def]
    """Read data[pos:end] as microseconds UTC; return the value and whether it could be read."""
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
    return microseconds, EARLIEST_TIME <= microseconds <= LATEST_TIME


@inlined_kernel
def _read_date(data, pos, end):  # type: ignore[no-untyped-def]
    """Read a date with a time of day after it; return days since 1970-01-01, or _INVALID."""
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
    """Read a time of day; return seconds since midnight, or _INVALID."""
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
    """Read a fraction of up to 6 digits; return microseconds and the fraction's end position."""
    if pos >= end or data[pos] != 46:
        return 0, pos
    first_digit, fraction = pos + 1, 0
    pos = first_digit
    while pos < end and 48 <= data[pos] <= 57 and pos - first_digit < 6:
        fraction = fraction * 10 + (data[pos] - 48)
        pos += 1
    if pos == first_digit:
        return 0, first_digit - 1
    for _ in range(6 - (pos - first_digit)):
        fraction *= 10
    return fraction, pos


@inlined_kernel
def _read_utc_offset(data, pos, end, naive_is_utc):  # type: ignore[no-untyped-def]
    """Read a UTC offset; return seconds (positive east of UTC) and whether the offset is valid."""
    if pos == end:
        return 0, naive_is_utc
    if end - pos == 1:
        return 0, data[pos] == 90
    if end - pos != 6 or data[pos + 3] != 58 or (data[pos] != 43 and data[pos] != 45):
        return 0, False
    hours, minutes = _read_int(data, pos + 1, 2), _read_int(data, pos + 4, 2)
    offset_size = hours * 3600 + minutes * 60
    is_valid = 0 <= hours <= 23 and 0 <= minutes <= 59
    return (-offset_size if data[pos] == 45 else offset_size), is_valid


@inlined_kernel
def _read_epoch(data, pos, end, unit_us):  # type: ignore[no-untyped-def]
    is_negative = pos < end and data[pos] == 45
    pos += is_negative
    if not 1 <= end - pos <= 14:
        return 0, False
    number = _read_int(data, pos, end - pos)
    microseconds = number * unit_us * (-1 if is_negative else 1)
    return microseconds, number >= 0 and EARLIEST_TIME <= microseconds <= LATEST_TIME


@inlined_kernel
def _read_int(data, pos, digits):  # type: ignore[no-untyped-def]
    """Read an integer of `digits` characters; return -1 if a character is not a digit."""
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
    """Return the number of days from 1970-01-01 to the first of a month.

    Source: Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    """
    shifted_year = year - (1 if month <= 2 else 0)
    era = shifted_year // 400
    day_of_era = shifted_year - era * 400
    day_of_year = (153 * (month - 3 if month > 2 else month + 9) + 2) // 5
    return (
        era * 146_097
        + day_of_era * 365
        + day_of_era // 4
        - day_of_era // 100
        + day_of_year
        - 719_468
    )


def format_instants(microseconds: NDArray[np.int64]) -> list[str]:
    """Return the same text as `format_instant` for each instant (n,), in microseconds UTC."""
    characters = np.zeros((len(microseconds), _TEXT_LENGTH), dtype=np.uint32)
    _format_kernel(microseconds, characters)
    texts: list[str] = characters.view(f"<U{_TEXT_LENGTH}").ravel().tolist()
    return texts


def format_instants_ascii(
    microseconds: NDArray[np.int64],
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Return the texts of `format_instants` as ASCII bytes (n, 27), and their lengths (n,)."""
    characters = np.zeros((len(microseconds), _TEXT_LENGTH), dtype=np.uint8)
    _format_kernel(microseconds, characters)
    return characters, np.where(
        microseconds % 1_000_000 == 0, _TEXT_LENGTH_WITHOUT_FRACTION, _TEXT_LENGTH
    )


@kernel
def _format_kernel(instants, characters):  # type: ignore[no-untyped-def]
    for row in range(len(instants)):
        days = instants[row] // _DAY_US
        time_of_day = instants[row] - days * _DAY_US
        year, month, day = _date_of_day(days)
        text_row = characters[row]
        _write_digits(text_row, 0, 4, year)
        text_row[4] = text_row[7] = 45
        _write_digits(text_row, 5, 2, month)
        _write_digits(text_row, 8, 2, day)
        text_row[10] = 84
        seconds, fraction = time_of_day // 1_000_000, time_of_day % 1_000_000
        _write_digits(text_row, 11, 2, seconds // 3600)
        text_row[13] = text_row[16] = 58
        _write_digits(text_row, 14, 2, seconds // 60 % 60)
        _write_digits(text_row, 17, 2, seconds % 60)
        end = 19
        if fraction:
            text_row[19] = 46
            _write_digits(text_row, 20, 6, fraction)
            end = 26
        text_row[end] = 90


@inlined_kernel
def _write_digits(text_row, start, count, value):  # type: ignore[no-untyped-def]
    for i in range(start + count - 1, start - 1, -1):
        text_row[i] = 48 + value % 10
        value //= 10


@inlined_kernel
def _date_of_day(days):  # type: ignore[no-untyped-def]
    """Return year, month and day for a number of days since 1970-01-01 (civil_from_days)."""
    shifted_days = days + 719_468
    era = shifted_days // 146_097
    day_of_era = shifted_days - era * 146_097
    year = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (1 if month <= 2 else 0), month, day
