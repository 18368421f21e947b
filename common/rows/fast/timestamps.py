"""Kernels that read and write times as microseconds since 1970-01-01 UTC; see `instants.py`."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.rows.fast.dates import date_of_day, days_before_month, days_in_month
from sensorwatch.common.rows.fast.patterns import read_pattern
from sensorwatch.common.rows.fast.time_form import TimeKind
from sensorwatch.common.rows.fast.zone_offsets import UNKNOWN_OFFSET, local_offset
from sensorwatch.common.rows.limits import EARLIEST_TIME, LATEST_TIME

_DAY_SECONDS = 86_400
_TEXT_LENGTH = 27  # 2025-01-01T00:00:00.123456Z
_TEXT_LENGTH_WITHOUT_FRACTION = 20  # 2025-01-01T00:00:00Z
_DAY_US = 86_400_000_000
_INVALID = -(2**40)
"""Returned instead of days or seconds if the text is not a valid date or time."""


@inlined_kernel
def read_instant(data, pos, end, time_form):  # type: ignore[no-untyped-def]
    """Read data[pos:end] as microseconds UTC; return the value and whether it could be read.

    `time_form`: TimeForm.
    """
    kind, pattern, zone_starts, zone_offsets = time_form
    if kind == TimeKind.EPOCH_S or kind == TimeKind.EPOCH_MS:  # noqa: PLR1714 - for numba
        return _read_epoch(data, pos, end, 1_000_000 if kind == TimeKind.EPOCH_S else 1_000)
    if kind == TimeKind.PATTERN:
        local_seconds, fraction, ok = read_pattern(data, pos, end, pattern)
        is_local = True
    else:
        local_seconds, fraction, pos = _read_rfc3339(data, pos, end)
        ok, is_local = local_seconds != _INVALID, pos == end
    if not ok:
        return 0, False
    if is_local:
        offset = local_offset(local_seconds, zone_starts, zone_offsets)
        ok = offset != UNKNOWN_OFFSET
    else:
        offset, ok = _read_utc_offset(data, pos, end)
    if not ok:
        return 0, False
    microseconds = (local_seconds - offset) * 1_000_000 + fraction
    return microseconds, EARLIEST_TIME <= microseconds <= LATEST_TIME


@inlined_kernel
def _read_rfc3339(data, pos, end):  # type: ignore[no-untyped-def]
    """Read a date and a time of day.

    Return the seconds since 1970-01-01 by the clock (_INVALID if the text is not valid), the
    microseconds after that second, and the position after the text.
    """
    days, seconds = _read_date(data, pos, end), _read_time_of_day(data, pos + 11, end)
    if _INVALID in (days, seconds) or (data[pos + 10] != 84 and data[pos + 10] != 32):
        return _INVALID, 0, pos
    fraction, pos = _read_fraction(data, pos + 19, end)
    return days * _DAY_SECONDS + seconds, fraction, pos


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
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= days_in_month(year, month)):
        return _INVALID
    return days_before_month(year, month) + day - 1


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
def _read_utc_offset(data, pos, end):  # type: ignore[no-untyped-def]
    """Read a UTC offset; return seconds (positive east of UTC) and whether the offset is valid."""
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
        year, month, day = date_of_day(days)
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
