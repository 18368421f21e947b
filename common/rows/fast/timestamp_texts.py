"""Instants written as RFC 3339, many at a time, compiled."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel, part

_CHARACTERS = 27  # 2025-01-01T00:00:00.123456Z
_WHOLE_SECONDS = 20  # 2025-01-01T00:00:00Z
_DAY = 86_400_000_000


def to_texts(microseconds: NDArray[np.int64]) -> list[str]:
    """Write instants (n,) as `sensorwatch.common.rows.instants.to_text` writes each."""
    letters = np.zeros((len(microseconds), _CHARACTERS), dtype=np.uint32)
    _write(microseconds, letters)
    found: list[str] = letters.view(f"<U{_CHARACTERS}").ravel().tolist()
    return found


def to_letters(microseconds: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Write instants (n,) as `to_texts` does, each as a line of ASCII (n, 27).

    Returns the lines, and how many characters of each are its text (n,).
    """
    letters = np.zeros((len(microseconds), _CHARACTERS), dtype=np.uint8)
    _write(microseconds, letters)
    return letters, np.where(microseconds % 1_000_000 == 0, _WHOLE_SECONDS, _CHARACTERS)


@kernel
def _write(instants, letters):  # type: ignore[no-untyped-def]
    for row in range(len(instants)):
        days = instants[row] // _DAY
        rest = instants[row] - days * _DAY
        year, month, day = _date(days)
        line = letters[row]
        _digits(line, 0, 4, year)
        line[4] = line[7] = 45
        _digits(line, 5, 2, month)
        _digits(line, 8, 2, day)
        line[10] = 84
        seconds, fraction = rest // 1_000_000, rest % 1_000_000
        _digits(line, 11, 2, seconds // 3600)
        line[13] = line[16] = 58
        _digits(line, 14, 2, seconds // 60 % 60)
        _digits(line, 17, 2, seconds % 60)
        end = 19
        if fraction:
            line[19] = 46
            _digits(line, 20, 6, fraction)
            end = 26
        line[end] = 90


@part
def _digits(line, at, count, value):  # type: ignore[no-untyped-def]
    for place in range(at + count - 1, at - 1, -1):
        line[place] = 48 + value % 10
        value //= 10


@part
def _date(days):  # type: ignore[no-untyped-def]
    """Return year, month and day of days since 1970-01-01 (Hinnant, "chrono algorithms")."""
    shifted = days + 719_468
    era = shifted // 146_097
    of_era = shifted - era * 146_097
    year = (of_era - of_era // 1_460 + of_era // 36_524 - of_era // 146_096) // 365
    of_year = of_era - (365 * year + year // 4 - year // 100)
    month = (5 * of_year + 2) // 153
    day = of_year - (153 * month + 2) // 5 + 1
    month = month + 3 if month < 10 else month - 9
    return year + era * 400 + (1 if month <= 2 else 0), month, day
