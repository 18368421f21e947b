"""Reading of one value by the rules of its column: missing values, words, texts and bounds."""

import math
import re
from typing import Final, NamedTuple

from sensorwatch.common.rows.field_declarations import (
    NumberForm,
    NumericColumn,
    OutOfRangePolicy,
)
from sensorwatch.common.rows.limits import FLOAT32_OVERFLOW
from sensorwatch.common.rows.rejection import Fault, Reason, make_fault, short_repr


class _Marker:
    """The type of the markers below, which are not values of a record."""


ABSENT: Final = _Marker()
"""The value of a field that the record does not contain."""
NO_OBJECT: Final = _Marker()
"""The value of a field inside something that is neither an object nor absent."""
MISSING: Final = _Marker()
"""The result for a value that the column's rules declare as missing."""
_INVALID: Final = _Marker()


class BadQuality(NamedTuple):
    """The result of looking up a value whose quality flag is not good; it counts as missing."""

    flag: object
    """The flag as the record has it."""


_NUMBER_WITH_UNIT = re.compile(r"([+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)\s*(\S.*)?", re.DOTALL)


class ColumnReader:
    """Reads the values of one column."""

    def __init__(self, column: NumericColumn) -> None:
        self.missing = column.missing
        self.missing_numbers = frozenset(
            value for value in column.missing_values if isinstance(value, float)
        )
        """The numbers that mean a missing value."""
        self._column = column
        self._low, self._high = column.bounds
        self._missing_words = frozenset(
            value.strip().casefold() for value in column.missing_values if isinstance(value, str)
        )
        self._number_of_word = dict(column.words)
        self._unit = column.unit.strip()

    def read(self, value: object) -> float | _Marker:
        """Return the valid number of a value, MISSING, or another marker if it is not valid."""
        number = self._to_number(value)
        if not isinstance(number, float):
            return number
        if number in self.missing_numbers or (math.isnan(number) and "nan" in self._missing_words):
            return MISSING
        if not abs(number) < FLOAT32_OVERFLOW:
            return _INVALID
        if self._low <= number <= self._high:
            return number + 0.0  # -0.0 becomes 0.0
        return MISSING if self._column.out_of_range is OutOfRangePolicy.MISSING else _INVALID

    def fault(self, value: object) -> Fault:
        """Return the fault of a value that `read` does not accept."""
        if isinstance(value, BadQuality):
            detail = (
                f"found quality {short_repr(value.flag)} in {self._column.quality}, so the value "
                "is missing; wanted a flag of good_quality"
            )
            return make_fault(Reason.NULL_VALUE, self._column.path, detail)
        path, number = self._column.path, self._to_number(value)
        if value in (ABSENT, NO_OBJECT, None):
            return absent_fault(value, path)
        if self.read(value) is MISSING:
            detail = f"found {short_repr(value)}, which means a missing value"
            return make_fault(Reason.NULL_VALUE, path, detail)
        if not isinstance(number, float):
            detail = f"found {short_repr(value)}, wanted a number{self._hint(value)}"
            return make_fault(Reason.WRONG_TYPE, path, detail)
        if not abs(number) < FLOAT32_OVERFLOW:
            detail = f"found {value!r}, wanted a number that is finite in float32"
            return make_fault(Reason.NOT_FINITE, path, detail)
        detail = f"found {value!r}, wanted {self._low:g} to {self._high:g}"
        return make_fault(Reason.OUT_OF_RANGE, path, detail)

    def _to_number(self, value: object) -> float | _Marker:
        if value is ABSENT or value is None or isinstance(value, BadQuality):
            return MISSING
        if isinstance(value, bool):
            return self._number_of_word.get("true" if value else "false", _INVALID)
        if isinstance(value, float):
            return value
        if isinstance(value, int):
            return float_of_int(value)
        return self._read_text(value) if isinstance(value, str) else _INVALID

    def _read_text(self, text: str) -> float | _Marker:
        word = text.strip().casefold()
        if word in self._missing_words or (not word and self._accepts_texts):
            return MISSING
        if word in self._number_of_word:
            return self._number_of_word[word]
        if not self._accepts_texts:
            return _INVALID
        number_text = text.strip()
        if self._column.numbers is NumberForm.UNIT:
            match = _NUMBER_WITH_UNIT.fullmatch(number_text)
            if match is None or (match[2] or self._unit).strip() != self._unit:
                return _INVALID
            number_text = match[1]
        number = number_of_text(number_text)
        return _INVALID if number is None else number

    @property
    def _accepts_texts(self) -> bool:
        return self._column.numbers is not NumberForm.NUMBER

    def _hint(self, value: object) -> str:
        if isinstance(value, str) and not self._accepts_texts and number_of_text(value) is not None:
            return '; numbers = "text" in the schema accepts the texts of numbers'
        if isinstance(value, bool) and not self._number_of_word:
            return "; words = {true = 1, false = 0} in the schema accepts true and false"
        return ""


def number_of_text(text: str) -> float | None:
    """Return the nearest float for the text of a decimal number, else None.

    `nan` and `inf` are numbers here, so that validation reports them as not finite.
    """
    try:
        number = float(text)
    except ValueError:
        return None
    # float() also accepts 1_000 and digits of other scripts, which are not numbers here.
    return None if "_" in text or not text.isascii() else number


def float_of_int(value: int) -> float:
    """Return the nearest float, or an infinite one if the integer is too large."""
    try:
        return float(value)
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")


def absent_fault(value: object, field: str) -> Fault:
    """Return the fault of a field that is absent or null."""
    if value is None:
        return make_fault(Reason.NULL_VALUE, field, "found null")
    return make_fault(Reason.MISSING_FIELD, field, "the field is missing")
