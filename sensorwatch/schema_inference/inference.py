"""A schema that fits a CSV file, guessed from its first rows."""

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.cells import number_of
from sensorwatch.common.rows.rejection import cut, found
from sensorwatch.schema_inference.time_format_guess import TimeGuess, guess_time

DELIMITERS = (",", ";", "\t", "|")
_TIME_NAMES = re.compile(r"time|date|\bts\b|epoch", re.IGNORECASE)
_LABELS = frozenset(
    {"anomaly", "isanomaly", "anomalous", "changepoint", "label", "labels", "islabel", "fault"}
    | {"isfault", "attack", "outlier", "isoutlier", "groundtruth", "class", "target", "failure"}
)
_KEYS = frozenset(
    {"sensorid", "sensor", "sensorname", "deviceid", "device", "devicename", "machineid", "machine"}
    | {"assetid", "asset", "stationid", "station", "tagname", "tag", "hostname", "host", "unitid"}
)
_MAYBE_KEYS = frozenset({"id", "key", "name", "source", "unit", "uid", "uuid"})
_NO_VALUES = frozenset({"nan", "na", "n/a", "#n/a", "null", "none", "nil", "-", "--"})
_ENOUGH = 0.9
_TIME_CELLS = 500
_SHOWN = 10


class Kind(StrEnum):
    """What a column is taken for."""

    TIME = "the time"
    KEY = "the sensor's id"
    SIGNAL = "a signal"
    LABEL = "a label, not a measurement"
    ROW_NUMBER = "a different value in every row"
    TEXT = "text"
    DECIMAL_COMMA = "numbers with a decimal comma, which cannot be read"
    EMPTY = "empty"
    NO_VALUES = "no values, only cells such as NaN, n/a and empty ones"
    NAMELESS = "a column without a name"
    DOUBLED = "a name that stands in the header more than once"


@dataclass(frozen=True, slots=True)
class Column:
    """A column and what its sampled cells say about it."""

    name: str
    kind: Kind
    cells: int
    """How many cells were looked at, the empty ones too."""
    bad: int = 0
    """Of a signal: how many of them are no finite number."""
    empty: int = 0
    """Of a signal: how many of those are empty."""
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class Inference:
    """What a file looks like."""

    delimiter: str
    time: TimeGuess
    columns: tuple[Column, ...]
    rows: int

    def named(self, kind: Kind) -> list[Column]:
        """Return the columns of a kind in the file's order."""
        return [column for column in self.columns if column.kind is kind]


def infer(lines: Sequence[str]) -> Inference:
    """Guess from a file's first lines, the header among them.

    Raises DataError where there is no header, no column of times, or no column of numbers.
    """
    delimiter, header, rows = _table(lines)
    cells = {name: [row[at].strip() for row in rows] for at, name in enumerate(header)}
    time_name, time = _time(header, cells)
    doubled = {name for name, count in Counter(header).items() if count > 1}
    columns = []
    for name in dict.fromkeys(header):
        if name == time_name:
            columns.append(Column(name, Kind.TIME, len(rows)))
        elif name in doubled:
            columns.append(Column(name, Kind.DOUBLED, len(rows)))
        else:
            columns.append(_column(name, cells[name]))
    seen = Inference(delimiter, time, _one_key(columns), len(rows))
    if not seen.named(Kind.SIGNAL):
        shown = [f"{found(column.name)} is {column.kind}" for column in seen.columns[:_SHOWN]]
        more = f", and {len(seen.columns) - _SHOWN} more" if len(seen.columns) > _SHOWN else ""
        raise DataError(f"no column of numbers to take as a signal: {', '.join(shown)}{more}")
    return seen


def _table(lines: Sequence[str]) -> tuple[str, list[str], list[list[str]]]:
    """Split the lines at the delimiter that gives the most columns to the most rows."""
    kept = [line for line in lines if line.strip()]
    if len(kept) < 2:
        raise DataError(f"found {len(kept)} lines, wanted a header and at least one row")
    delimiter = max(DELIMITERS, key=lambda sign: _fitting_cells(kept[:100], sign))
    try:
        header, *rows = csv.reader(kept, delimiter=delimiter, skipinitialspace=True)
    except csv.Error as error:
        raise DataError(f"not a CSV file: {error}") from error
    header = [name.strip() for name in header]
    if all(isinstance(number_of(name), float) or not name for name in header):
        raise DataError(f"the first line holds no names, wanted a header: found {found(kept[0])}")
    rows = [row for row in rows if len(row) == len(header)]
    if not rows:
        raise DataError(f"no row has as many cells as the header ({len(header)})")
    return delimiter, header, rows


def _fitting_cells(lines: Sequence[str], delimiter: str) -> int:
    try:
        header, *rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    except csv.Error:
        return 0
    return (len(header) - 1) * sum(len(row) == len(header) for row in rows)


def _time(header: Sequence[str], cells: dict[str, list[str]]) -> tuple[str, TimeGuess]:
    named_so = [name for name in header if _TIME_NAMES.search(name)]
    for name in dict.fromkeys([*named_so, *header]):
        texts = [cell for cell in cells[name] if cell][:_TIME_CELLS]
        guess = guess_time(texts, named_so=name in named_so)
        if name and guess is not None:
            return name, guess
    shown = cut(", ".join(f"{name}={cells[name][0]}" for name in header))
    if len(header) == 1:
        tried = ", ".join(map(repr, DELIMITERS))
        raise DataError(
            f"one column only, and it holds no times; the delimiters {tried} were tried, and none "
            f"splits the lines; the first row is {shown}"
        )
    raise DataError(
        f"no column of times (RFC 3339, seconds or milliseconds since 1970, or a usual date "
        f"format); the first row is {shown}: write the schema by hand, with a strptime pattern as "
        "[time] format"
    )


def _column(name: str, cells: Sequence[str]) -> Column:
    word = re.sub(r"[^a-z0-9]", "", name.lower())
    texts = [cell for cell in cells if cell]
    numbers = [
        value
        for cell in texts
        if isinstance(value := number_of(cell), float) and math.isfinite(value)
    ]
    kind = _kind(word, name, texts, len(numbers))
    if kind is not Kind.SIGNAL:
        return Column(name, kind, len(cells))
    bad = len(cells) - len(numbers)
    empty = len(cells) - len(texts)
    return Column(name, kind, len(cells), bad, empty, min(numbers), max(numbers))


def _kind(word: str, name: str, texts: Sequence[str], numbers: int) -> Kind:
    repeats = len(set(texts)) < len(texts)
    kinds = (
        (Kind.NAMELESS, not name),
        (Kind.EMPTY, not texts),
        (Kind.NO_VALUES, all(text.lower() in _NO_VALUES for text in texts)),
        (Kind.LABEL, word.removeprefix("sensorwatch") in _LABELS),
        (Kind.KEY, word in _KEYS or (word in _MAYBE_KEYS and repeats)),
        (Kind.ROW_NUMBER, word in _MAYBE_KEYS | {"row", "index", "rowid", "seq", "sequence"}),
        (Kind.SIGNAL, numbers > 0 and numbers >= _ENOUGH * len(texts)),
        (Kind.DECIMAL_COMMA, all(re.fullmatch(r"-?\d+(,\d+)?", text) for text in texts)),
    )
    return next((kind for kind, fits in kinds if fits), Kind.TEXT)


def _one_key(columns: Sequence[Column]) -> tuple[Column, ...]:
    keys = [column.name for column in columns if column.kind is Kind.KEY]
    return tuple(
        Column(column.name, Kind.TEXT, column.cells) if column.name in keys[1:] else column
        for column in columns
    )
