"""Guess the kind of each column: a signal, a label, an id, a text."""

import math
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import islice

MISSING_WORDS = frozenset(
    {"nan", "na", "n/a", "#n/a", "null", "none", "nil", "-", "--", "?", "unavailable", "unknown"}
    | {"missing", "#value!", "#div/0!", "#ref!", "#num!", "#name?", "#null!", "nodata", "no data"}
    | {"n.a.", "---", "----", "invalid", "error", "bad", "bad input", "i/o timeout", "no result"}
    | {"scan off", "calc failed", "comm fail", "pt created", "not available", "offline"}
)
_LABEL_NAMES = frozenset(
    {"anomaly", "isanomaly", "anomalous", "changepoint", "label", "labels", "islabel", "fault"}
    | {"isfault", "attack", "outlier", "isoutlier", "groundtruth", "class", "target", "failure"}
)
_ROW_NUMBER_NAMES = frozenset({"row", "index", "rowid", "record", "seq", "sequence", "unnamed0"})
_WORD_PAIRS = (
    *(("off", "on"), ("false", "true"), ("no", "yes"), ("closed", "open"), ("low", "high")),
    *(("stopped", "running"), ("inactive", "active"), ("n", "y"), ("f", "t"), ("idle", "busy")),
    *(("disabled", "enabled"), ("down", "up"), ("stop", "run"), ("absent", "present")),
    *(("aus", "ein"), ("falsch", "wahr"), ("nein", "ja"), ("zu", "auf"), ("geschlossen", "offen")),
    *(("non", "oui"), ("faux", "vrai"), ("arrêt", "marche"), ("no", "sí"), ("no", "si")),
)
_NUMBER_WITH_UNIT = re.compile(r"([+-]?[\d.,]*\d(?:[eE][+-]?\d+)?)\s*([^\d\s.,+-][^\d]*)")
_MARKED_NUMBER = re.compile(r"[^\w\s,]{1,3} ?(?:\d{1,3}(?:[.,]\d{3})+|\d+)(?:[.,]\d+)?[^\w\s]{0,3}")
"""A number with characters around it that no option reads, such as a currency or brackets."""
_MIN_NUMERIC_SHARE = 0.9
_MIN_SUSPICIOUS_NUMERIC_SHARE = 0.3
_MIN_SENTINEL_ROWS = 20
_MAX_SENTINELS = 3
_TYPICAL_SENTINEL = re.compile(r"-?9{3,}(\.9+)?|-200|-32768|65535|-?1e\+?\d\d")
_MIN_ROW_NUMBERS = 10
_MAX_NUMBER_CHARACTERS = 50


class ColumnKind(StrEnum):
    """The inferred kind of a column."""

    TIME = "the time"
    KEY = "the sensor's id"
    SIGNAL = "a signal"
    CONTEXT = "context"
    LABEL = "a label, not a measurement"
    ROW_NUMBER = "a number of the row"
    MESSAGE_ID = "the id of a message, different in nearly every row"
    OTHER_TIME = "another time"
    QUALITY = "the quality of the values"
    TEXT = "text"
    MIXED = "numbers mixed with other texts"
    UNITS = "numbers with several units"
    EMPTY = "empty"
    NO_VALUES = "a column without values, only with cells such as NaN, n/a and empty ones"
    NAMELESS = "a column without a name"
    LEFT_OUT = "left out by an option"


USED_KINDS = (
    ColumnKind.TIME,
    ColumnKind.KEY,
    ColumnKind.SIGNAL,
    ColumnKind.CONTEXT,
    ColumnKind.QUALITY,
)
"""The kinds of columns that a schema names."""
LOST_NUMBERS = frozenset({ColumnKind.MIXED, ColumnKind.UNITS})
"""The kinds of columns with numbers that cannot be read."""
UNWANTED_SIGNALS = frozenset({ColumnKind.LABEL, ColumnKind.ROW_NUMBER, ColumnKind.OTHER_TIME})
"""The kinds of numeric columns that are left out, because they are not measurements."""


@dataclass(frozen=True, slots=True)
class InferredColumn:
    """A column, and statistics of its cells in the sampled rows."""

    name: str
    path: str
    kind: ColumnKind
    cells: int
    """Number of cells in the sampled rows, including empty cells."""
    missing: int = 0
    """For a signal: number of cells that are empty or contain a missing word."""
    invalid: int = 0
    """For a signal: number of other cells without a finite number."""
    low: float = math.nan
    high: float = math.nan
    unit: str = ""
    """The unit after each number, or an empty text."""
    words: tuple[tuple[str, int], ...] = ()
    """Each word with its number, if the cells are words."""
    missing_words: frozenset[str] = frozenset()
    """The missing words that occur in the cells."""
    sentinels: tuple[tuple[float, int], ...] = ()
    """Suspicious extreme values, each with the number of cells that contain it."""
    examples: tuple[str, ...] = ()
    """The first cells that are not empty, or one cell of each unit."""
    other_words: tuple[str, ...] = ()
    """The first distinct cells that are neither numbers nor missing words, if most are numbers."""
    is_counter: bool = False
    """Whether the user says that the column is a counter."""
    wrap: float | None = None
    """The full circle of the angle, if the user says that the column is an angle."""


NumberReader = Callable[[object], object]


def classify_column(
    name: str,
    path: str,
    cells: Sequence[str],
    read_number: NumberReader,
    *,
    missing_numbers: frozenset[float] = frozenset(),
    missing_words: frozenset[str] = frozenset(),
    is_signal: bool = False,
) -> InferredColumn:
    """Return the kind and the statistics of a column that is neither the time nor the id.

    `missing_words`: words for a missing value that the user gives, in lower case. `is_signal`: the
    user says that the column is a measurement, so it is not a label or row number.
    """
    plain_name = re.sub(r"[^a-z0-9]", "", name.lower())
    texts = [cell for cell in cells if cell]
    examples = tuple(texts[:3])
    known_words = MISSING_WORDS | missing_words
    words = [text for text in texts if text.casefold() not in known_words]
    found_missing_words = frozenset(text for text in texts if text.casefold() in known_words)
    kind = _kind_by_name_and_presence(plain_name, name, texts, words)
    if kind is not None and not (is_signal and kind in UNWANTED_SIGNALS):
        return InferredColumn(name, path, kind, len(cells), examples=examples)
    unit: str | None = ""
    word_numbers: tuple[tuple[str, int], ...] = ()
    numbers = _numbers_in_texts(words, read_number)
    if len(numbers) < _MIN_NUMERIC_SHARE * len(words):
        unit, number_texts = _common_unit(words)
        word_numbers = _word_numbers(words)
        if word_numbers:
            numbers = [float(dict(word_numbers)[word.casefold()]) for word in words]
        elif unit is not None:
            numbers = _numbers_in_texts(number_texts, read_number)
        else:
            kind = _kind_without_numbers(words, numbers, number_texts)
            if kind is ColumnKind.UNITS:
                examples = _examples_of_units(words)
            other_words = (
                _words_without_number(words, read_number) if kind is ColumnKind.MIXED else ()
            )
            return InferredColumn(
                name,
                path,
                kind,
                len(cells),
                examples=other_words or examples,
                other_words=other_words,
            )
    if len(numbers) < _MIN_NUMERIC_SHARE * len(words):
        return InferredColumn(name, path, ColumnKind.MIXED, len(cells), examples=examples)
    valid_numbers = [number for number in numbers if number not in missing_numbers]
    if not valid_numbers:
        return InferredColumn(name, path, ColumnKind.NO_VALUES, len(cells), examples=examples)
    missing = len(cells) - len(words) + len(numbers) - len(valid_numbers)
    has_other_words = len(numbers) < len(words) and not (unit or word_numbers)
    return InferredColumn(
        name,
        path,
        ColumnKind.SIGNAL,
        len(cells),
        missing,
        len(words) - len(numbers),
        min(valid_numbers),
        max(valid_numbers),
        unit or "",
        word_numbers,
        found_missing_words,
        _suspicious_extremes(valid_numbers),
        examples,
        _words_without_number(words, read_number) if has_other_words else (),
    )


def _kind_by_name_and_presence(
    plain_name: str, name: str, texts: Sequence[str], words: Sequence[str]
) -> ColumnKind | None:
    kinds = (
        (ColumnKind.NAMELESS, not name),
        (ColumnKind.EMPTY, not texts),
        (ColumnKind.NO_VALUES, not words),
        (ColumnKind.LABEL, plain_name.removeprefix("sensorwatch") in _LABEL_NAMES),
        (ColumnKind.ROW_NUMBER, plain_name in _ROW_NUMBER_NAMES or is_row_number(texts)),
    )
    return next((kind for kind, is_match in kinds if is_match), None)


def is_row_number_name(name: str) -> bool:
    """Return whether a column's name is one that row numbers usually have."""
    return re.sub(r"[^a-z0-9]", "", name.lower()) in _ROW_NUMBER_NAMES


def is_row_number(texts: Sequence[str]) -> bool:
    """Return whether the cells are whole numbers that rise by one from row to row."""
    if len(texts) < _MIN_ROW_NUMBERS or not all(
        text.isascii() and text.isdigit() for text in texts
    ):
        return False
    first = int(texts[0]) if len(texts[0]) < 19 else -1
    return all(text == str(first + step) for step, text in enumerate(texts))


def _numbers_in_texts(texts: Sequence[str], read_number: NumberReader) -> list[float]:
    values = (read_number(text) for text in texts)
    return [value for value in values if isinstance(value, float) and math.isfinite(value)]


def _words_without_number(words: Sequence[str], read_number: NumberReader) -> tuple[str, ...]:
    """Return the first distinct words that are no numbers."""
    return tuple(
        islice(
            dict.fromkeys(word for word in words if not _numbers_in_texts([word], read_number)), 3
        )
    )


def _common_unit(words: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the unit after all numbers (else None), and the texts of the numbers with a unit."""
    matches = [match for word in words if (match := _NUMBER_WITH_UNIT.fullmatch(word))]
    units = {match[2].strip() for match in matches}
    is_common = len(units) == 1 and len(matches) >= _MIN_NUMERIC_SHARE * len(words)
    return (units.pop() if is_common else None), [match[1] for match in matches]


def _examples_of_units(words: Sequence[str]) -> tuple[str, ...]:
    """Return the first cell of each of the first units."""
    word_of_unit: dict[str, str] = {}
    for word in words:
        match = _NUMBER_WITH_UNIT.fullmatch(word)
        if match is not None:
            word_of_unit.setdefault(match[2].strip(), word)
    return tuple(word_of_unit.values())[:3]


def _word_numbers(words: Sequence[str]) -> tuple[tuple[str, int], ...]:
    found_words = {word.casefold() for word in words}
    for pair in _WORD_PAIRS:
        if found_words and found_words <= set(pair):
            return tuple((word, number) for number, word in enumerate(pair))
    return ()


def _kind_without_numbers(
    words: Sequence[str], numbers: Sequence[float], number_texts: Sequence[str]
) -> ColumnKind:
    if len(number_texts) >= _MIN_NUMERIC_SHARE * len(words):
        return ColumnKind.UNITS
    marked = sum(
        _MARKED_NUMBER.fullmatch(word[:_MAX_NUMBER_CHARACTERS]) is not None for word in words
    )
    has_many_numbers = len(numbers) + marked >= _MIN_SUSPICIOUS_NUMERIC_SHARE * len(words)
    return ColumnKind.MIXED if has_many_numbers else ColumnKind.TEXT


def _suspicious_extremes(numbers: Sequence[float]) -> tuple[tuple[float, int], ...]:
    """Return repeated extreme values that are far from all others, and how often each occurs."""
    counts = Counter(numbers)
    values = sorted(counts)
    extremes: list[tuple[float, int]] = []
    while len(numbers) >= _MIN_SENTINEL_ROWS and len(extremes) < _MAX_SENTINELS:
        extreme = _suspicious_extreme(values, counts, len(numbers))
        if extreme is None:
            break
        extremes.append((extreme, counts[extreme]))
        values.remove(extreme)
    return tuple(extremes)


def _suspicious_extreme(
    values: list[float], counts: Counter[float], row_count: int
) -> float | None:
    """Return the first or last of the sorted values if it is far from all others, else None."""
    if len(values) < 2:
        return None
    for extreme, nearest_value, other_extreme in (
        (values[0], values[1], values[-1]),
        (values[-1], values[-2], values[0]),
    ):
        is_repeated = 2 <= counts[extreme] < row_count / 2
        is_typical = _TYPICAL_SENTINEL.fullmatch(f"{extreme:g}") is not None
        is_isolated = abs(extreme - nearest_value) > 2 * abs(other_extreme - nearest_value)
        if is_repeated and is_isolated and (len(values) > 2 or is_typical):
            return extreme
    return None
