"""Reading of times by strptime patterns that consist of numbers, AM or PM, and other characters.

The kernel reads some of the texts that strptime accepts, with the same result.
"""

from enum import IntEnum
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel
from sensorwatch.common.rows.fast.dates import days_before_month, days_in_month


class Directive(IntEnum):
    """The directives that the kernel reads; all other codes of a pattern are bytes of the text."""

    YEAR = -1
    SHORT_YEAR = -2
    MONTH = -3
    DAY = -4
    HOUR = -5
    HOUR_12 = -6
    MINUTE = -7
    SECOND = -8
    FRACTION = -9
    AM_PM = -10


NO_PATTERN = np.empty(0, dtype=np.int64)
_DIRECTIVE_OF_LETTER = {
    "Y": Directive.YEAR,
    "y": Directive.SHORT_YEAR,
    "m": Directive.MONTH,
    "d": Directive.DAY,
    "H": Directive.HOUR,
    "I": Directive.HOUR_12,
    "M": Directive.MINUTE,
    "S": Directive.SECOND,
    "f": Directive.FRACTION,
    "p": Directive.AM_PM,
}
_DATES = ({Directive.YEAR, Directive.MONTH, Directive.DAY},
          {Directive.SHORT_YEAR, Directive.MONTH, Directive.DAY})  # fmt: skip
_CLOCKS = (set[Directive](), {Directive.HOUR}, {Directive.HOUR_12, Directive.AM_PM})
_PARTS_OF_HOUR = {Directive.MINUTE, Directive.SECOND, Directive.FRACTION}
_MAX_DIGITS = 6
_A, _P, _M, _LOWER_CASE = ord("a"), ord("p"), ord("m"), 32


def compile_pattern(pattern: str) -> NDArray[np.int64] | None:
    """Return the codes of a pattern, shape (codes,), or None if the kernel cannot read it.

    A code is a Directive or a byte of the text.
    """
    codes: list[int] = []
    characters = iter(pattern)
    for character in characters:
        if character != "%":
            codes += character.encode()
            continue
        directive = _DIRECTIVE_OF_LETTER.get(next(characters, ""))
        if directive is None:
            return None
        codes.append(directive)
    return np.asarray(codes, dtype=np.int64) if _is_readable(codes) else None


def _is_readable(codes: list[int]) -> bool:
    directives = [Directive(code) for code in codes if code < 0]
    parts, numbers = set(directives), set(Directive) - {Directive.AM_PM}
    # A fraction has any number of digits, so a digit after it would be ambiguous.
    has_digit_after_fraction = any(
        code == Directive.FRACTION and (next_code in numbers or chr(max(0, next_code)).isdigit())
        for code, next_code in pairwise(codes)
    )
    is_date_and_clock = any(
        parts - _PARTS_OF_HOUR == date | clock for date in _DATES for clock in _CLOCKS
    )
    return len(parts) == len(directives) and is_date_and_clock and not has_digit_after_fraction


# An inlined kernel allocates no arrays, so each field is a variable, and there are many branches.
@inlined_kernel
def read_pattern(data, pos, end, pattern):  # type: ignore[no-untyped-def]  # noqa: C901, PLR0912
    """Read data[pos:end] as a local time.

    Return the seconds since 1970-01-01 by the clock, the microseconds after that second, and
    whether the text could be read.
    """
    year, month, day, hour, minute, second, fraction, afternoon = 0, 1, 1, 0, 0, 0, 0, -1
    hours = 24
    for code in pattern:
        if code >= 0:
            if pos >= end or data[pos] != code:
                return 0, 0, False
            pos += 1
        elif code == Directive.AM_PM:
            afternoon = _read_am_pm(data, pos, end)
            if afternoon < 0:
                return 0, 0, False
            pos += 2
        else:
            value, digits = _read_number(data, pos, end, _max_digits(code))
            if digits == 0:
                return 0, 0, False
            pos += digits
            if code == Directive.YEAR:
                year = value if digits == 4 else 0
            elif code == Directive.SHORT_YEAR:
                year = (2000 + value if value <= 68 else 1900 + value) if digits == 2 else 0
            elif code == Directive.MONTH:
                month = value
            elif code == Directive.DAY:
                day = value
            elif code == Directive.HOUR:
                hour = value
            elif code == Directive.HOUR_12:
                hour, hours = (value % 12 if 1 <= value <= 12 else 24), 12
            elif code == Directive.MINUTE:
                minute = value
            elif code == Directive.SECOND:
                second = value
            else:
                fraction = value
                for _ in range(_MAX_DIGITS - digits):
                    fraction *= 10
    is_date = year >= 1 and 1 <= month <= 12 and 1 <= day <= days_in_month(year, month)
    if pos != end or not is_date or hour >= hours or minute > 59 or second > 59:
        return 0, 0, False
    if afternoon > 0:
        hour += 12
    days = days_before_month(year, month) + day - 1
    return days * 86_400 + hour * 3600 + minute * 60 + second, fraction, True


@inlined_kernel
def _max_digits(code):  # type: ignore[no-untyped-def]
    if code == Directive.YEAR:
        return 4
    return _MAX_DIGITS if code == Directive.FRACTION else 2


@inlined_kernel
def _read_number(data, pos, end, max_digits):  # type: ignore[no-untyped-def]
    """Return the number that the next digits form, and how many digits there are."""
    value, digits = 0, 0
    while digits < max_digits and pos + digits < end and 48 <= data[pos + digits] <= 57:
        value = value * 10 + (data[pos + digits] - 48)
        digits += 1
    return value, digits


@inlined_kernel
def _read_am_pm(data, pos, end):  # type: ignore[no-untyped-def]
    """Return 0 for AM, 1 for PM, and -1 for any other text."""
    if end - pos < 2 or data[pos + 1] | _LOWER_CASE != _M:
        return -1
    letter = data[pos] | _LOWER_CASE
    if letter == _A:
        return 0
    return 1 if letter == _P else -1
