"""Instants written as RFC 3339, many at a time, compiled."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel

_TEXT_LENGTH = 27  # 2025-01-01T00:00:00.123456Z
_TEXT_LENGTH_WITHOUT_FRACTION = 20  # 2025-01-01T00:00:00Z
_DAY = 86_400_000_000


def format_instants(microseconds: NDArray[np.int64]) -> list[str]:
    """Write instants (n,) as `sensorwatch.common.rows.instants.to_text` writes each."""
    characters = np.zeros((len(microseconds), _TEXT_LENGTH), dtype=np.uint32)
    _format_kernel(microseconds, characters)
    texts: list[str] = characters.view(f"<U{_TEXT_LENGTH}").ravel().tolist()
    return texts


def format_instants_ascii(
    microseconds: NDArray[np.int64],
) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Write instants (n,) as `format_instants` does, each as a line of ASCII (n, 27).

    Returns the lines, and how many characters of each are its text (n,).
    """
    characters = np.zeros((len(microseconds), _TEXT_LENGTH), dtype=np.uint8)
    _format_kernel(microseconds, characters)
    return characters, np.where(
        microseconds % 1_000_000 == 0, _TEXT_LENGTH_WITHOUT_FRACTION, _TEXT_LENGTH
    )


@kernel
def _format_kernel(instants, characters):  # type: ignore[no-untyped-def]
    for row in range(len(instants)):
        days = instants[row] // _DAY
        time_of_day = instants[row] - days * _DAY
        year, month, day = _date_of_day(days)
        line = characters[row]
        _write_digits(line, 0, 4, year)
        line[4] = line[7] = 45
        _write_digits(line, 5, 2, month)
        _write_digits(line, 8, 2, day)
        line[10] = 84
        seconds, fraction = time_of_day // 1_000_000, time_of_day % 1_000_000
        _write_digits(line, 11, 2, seconds // 3600)
        line[13] = line[16] = 58
        _write_digits(line, 14, 2, seconds // 60 % 60)
        _write_digits(line, 17, 2, seconds % 60)
        end = 19
        if fraction:
            line[19] = 46
            _write_digits(line, 20, 6, fraction)
            end = 26
        line[end] = 90


@inlined_kernel
def _write_digits(line, start, count, value):  # type: ignore[no-untyped-def]
    for i in range(start + count - 1, start - 1, -1):
        line[i] = 48 + value % 10
        value //= 10


@inlined_kernel
def _date_of_day(days):  # type: ignore[no-untyped-def]
    """Return year, month and day of days since 1970-01-01 (Hinnant, "chrono algorithms")."""
    shifted = days + 719_468
    era = shifted // 146_097
    day_of_era = shifted - era * 146_097
    year = (day_of_era - day_of_era // 1_460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year + year // 4 - year // 100)
    month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (1 if month <= 2 else 0), month, day
