"""Infer a schema from the first rows of a CSV file."""

import csv
import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.cells import parse_number_cell
from sensorwatch.common.rows.rejection import short_printable, short_repr
from sensorwatch.schema_inference.time_format_guess import TimeGuess, guess_time

DELIMITERS = (",", ";", "\t", "|")
_TIME_NAMES = re.compile(r"time|date|\bts\b|epoch", re.IGNORECASE)
_LABEL_NAMES = frozenset(
    {"anomaly", "isanomaly", "anomalous", "changepoint", "label", "labels", "islabel", "fault"}
    | {"isfault", "attack", "outlier", "isoutlier", "groundtruth", "class", "target", "failure"}
)
_KEY_NAMES = frozenset(
    {"sensorid", "sensor", "sensorname", "deviceid", "device", "devicename", "machineid", "machine"}
    | {"assetid", "asset", "stationid", "station", "tagname", "tag", "hostname", "host", "unitid"}
)
_POSSIBLE_KEY_NAMES = frozenset({"id", "key", "name", "source", "unit", "uid", "uuid"})
_MISSING_VALUE_TEXTS = frozenset({"nan", "na", "n/a", "#n/a", "null", "none", "nil", "-", "--"})
_MIN_NUMERIC_SHARE = 0.9
_MAX_TIME_CELLS = 500
_MAX_SHOWN_COLUMNS = 10


class ColumnKind(StrEnum):
    """The inferred kind of a column."""

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
    DUPLICATE_NAME = "a name that the header contains more than once"


@dataclass(frozen=True, slots=True)
class InferredColumn:
    """A column, and statistics of its cells in the sampled rows."""

    name: str
    kind: ColumnKind
    cells: int
    """Number of cells in the sampled rows, including empty cells."""
    not_finite: int = 0
    """For a signal: number of cells without a finite number. For other columns: 0."""
    empty: int = 0
    """For a signal: number of empty cells. For other columns: 0."""
    low: float = math.nan
    high: float = math.nan


@dataclass(frozen=True, slots=True)
class Inference:
    """The inferred delimiter, time format and columns of a file."""

    delimiter: str
    time: TimeGuess
    columns: tuple[InferredColumn, ...]
    rows: int

    def columns_of_kind(self, kind: ColumnKind) -> list[InferredColumn]:
        """Return the columns of a kind, in the same order as in the file."""
        return [column for column in self.columns if column.kind is kind]


def infer_schema(lines: Sequence[str]) -> Inference:
    """Infer a schema from the first lines of a file, including the header.

    Raises DataError if there is no header, no time column, or no column of numbers.
    """
    delimiter, header, rows = _split_table(lines)
    cells = {name: [row[column].strip() for row in rows] for column, name in enumerate(header)}
    time_name, time = _find_time_column(header, cells)
    duplicate_names = {name for name, count in Counter(header).items() if count > 1}
    columns = []
    for name in dict.fromkeys(header):
        if name == time_name:
            columns.append(InferredColumn(name, ColumnKind.TIME, len(rows)))
        elif name in duplicate_names:
            columns.append(InferredColumn(name, ColumnKind.DUPLICATE_NAME, len(rows)))
        else:
            columns.append(_classify_column(name, cells[name]))
    inference = Inference(delimiter, time, _keep_first_key(columns), len(rows))
    if not inference.columns_of_kind(ColumnKind.SIGNAL):
        column_texts = [
            f"{short_repr(column.name)} is {column.kind}"
            for column in inference.columns[:_MAX_SHOWN_COLUMNS]
        ]
        hidden_note = (
            f", and {len(inference.columns) - _MAX_SHOWN_COLUMNS} more"
            if len(inference.columns) > _MAX_SHOWN_COLUMNS
            else ""
        )
        raise DataError(
            f"no column of numbers that could be a signal: {', '.join(column_texts)}{hidden_note}"
        )
    return inference


def _split_table(lines: Sequence[str]) -> tuple[str, list[str], list[list[str]]]:
    """Return the delimiter, the header and the rows.

    The chosen delimiter yields the most cells; rows with more or fewer cells than the header are
    not counted.
    """
    non_blank_lines = [line for line in lines if line.strip()]
    if len(non_blank_lines) < 2:
        raise DataError(f"found {len(non_blank_lines)} lines, wanted a header and at least one row")
    delimiter = max(
        DELIMITERS, key=lambda candidate: _count_fitting_cells(non_blank_lines[:100], candidate)
    )
    try:
        header, *rows = csv.reader(non_blank_lines, delimiter=delimiter, skipinitialspace=True)
    except csv.Error as error:
        raise DataError(f"not a CSV file: {error}") from error
    header = [name.strip() for name in header]
    if all(isinstance(parse_number_cell(name), float) or not name for name in header):
        raise DataError(
            f"the first line has no names, wanted a header: found {short_repr(non_blank_lines[0])}"
        )
    rows = [row for row in rows if len(row) == len(header)]
    if not rows:
        raise DataError(f"no row has as many cells as the header ({len(header)})")
    return delimiter, header, rows


def _count_fitting_cells(lines: Sequence[str], delimiter: str) -> int:
    try:
        header, *rows = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    except csv.Error:
        return 0
    return (len(header) - 1) * sum(len(row) == len(header) for row in rows)


def _find_time_column(header: Sequence[str], cells: dict[str, list[str]]) -> tuple[str, TimeGuess]:
    name_suggests_time = [name for name in header if _TIME_NAMES.search(name)]
    for name in dict.fromkeys([*name_suggests_time, *header]):
        texts = [cell for cell in cells[name] if cell][:_MAX_TIME_CELLS]
        guess = guess_time(texts, name_suggests_time=name in name_suggests_time)
        if name and guess is not None:
            return name, guess
    first_row = short_printable(", ".join(f"{name}={cells[name][0]}" for name in header))
    if len(header) == 1:
        delimiters = ", ".join(map(repr, DELIMITERS))
        raise DataError(
            f"only one column, and it contains no times; none of the delimiters "
            f"{delimiters} splits the lines; the first row is {first_row}"
        )
    raise DataError(
        f"no column of times (RFC 3339, seconds or milliseconds since 1970, or a usual date "
        f"format); the first row is {first_row}: write the schema by hand, with a "
        "strptime pattern as [time] format"
    )


def _classify_column(name: str, cells: Sequence[str]) -> InferredColumn:
    normalized_name = re.sub(r"[^a-z0-9]", "", name.lower())
    texts = [cell for cell in cells if cell]
    numbers = [
        value
        for cell in texts
        if isinstance(value := parse_number_cell(cell), float) and math.isfinite(value)
    ]
    kind = _kind_of_column(normalized_name, name, texts, len(numbers))
    if kind is not ColumnKind.SIGNAL:
        return InferredColumn(name, kind, len(cells))
    not_finite = len(cells) - len(numbers)
    empty = len(cells) - len(texts)
    return InferredColumn(name, kind, len(cells), not_finite, empty, min(numbers), max(numbers))


def _kind_of_column(
    normalized_name: str, name: str, texts: Sequence[str], number_count: int
) -> ColumnKind:
    has_repeats = len(set(texts)) < len(texts)
    kinds = (
        (ColumnKind.NAMELESS, not name),
        (ColumnKind.EMPTY, not texts),
        (ColumnKind.NO_VALUES, all(text.lower() in _MISSING_VALUE_TEXTS for text in texts)),
        (ColumnKind.LABEL, normalized_name.removeprefix("sensorwatch") in _LABEL_NAMES),
        (
            ColumnKind.KEY,
            normalized_name in _KEY_NAMES
            or (normalized_name in _POSSIBLE_KEY_NAMES and has_repeats),
        ),
        (
            ColumnKind.ROW_NUMBER,
            normalized_name in _POSSIBLE_KEY_NAMES | {"row", "index", "rowid", "seq", "sequence"},
        ),
        (ColumnKind.SIGNAL, number_count > 0 and number_count >= _MIN_NUMERIC_SHARE * len(texts)),
        (ColumnKind.DECIMAL_COMMA, all(re.fullmatch(r"-?\d+(,\d+)?", text) for text in texts)),
    )
    return next((kind for kind, is_match in kinds if is_match), ColumnKind.TEXT)


def _keep_first_key(columns: Sequence[InferredColumn]) -> tuple[InferredColumn, ...]:
    key_names = [column.name for column in columns if column.kind is ColumnKind.KEY]
    return tuple(
        InferredColumn(column.name, ColumnKind.TEXT, column.cells)
        if column.name in key_names[1:]
        else column
        for column in columns
    )
