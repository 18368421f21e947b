"""Infer a schema from the first rows of a file."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.cells import number_cell_reader
from sensorwatch.common.rows.rejection import short_repr
from sensorwatch.common.rows.values import number_of_text
from sensorwatch.schema_inference.column_guess import (
    LOST_NUMBERS,
    ColumnKind,
    InferredColumn,
    classify_column,
)
from sensorwatch.schema_inference.csv_layout_guess import read_csv_table
from sensorwatch.schema_inference.key_guess import (
    is_key,
    is_message_id,
    need_each_other,
    suggests_key,
)
from sensorwatch.schema_inference.long_form import refuse_long_form
from sensorwatch.schema_inference.number_form_guess import guess_separators
from sensorwatch.schema_inference.table import Table
from sensorwatch.schema_inference.time_columns import find_time, joined_cells
from sensorwatch.schema_inference.time_format_guess import TimeGuess

_MAX_SHOWN_COLUMNS = 10


@dataclass(frozen=True, slots=True)
class InferenceOptions:
    """What the user decides instead of the inference."""

    zone: str | None = None
    """IANA zone of times without a zone."""
    is_day_first: bool | None = None
    time_names: tuple[str, ...] = ()
    time_format: str | None = None
    key_names: tuple[str, ...] | None = None
    """The columns of the sensor's id; an empty tuple: there is no id."""
    context_names: tuple[str, ...] = ()
    left_out_names: tuple[str, ...] = ()
    missing_values: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inference:
    """The inferred form, time, id and columns of a file."""

    table: Table
    time_names: tuple[str, ...]
    time: TimeGuess
    zone: str | None
    """The zone of times without a zone, if the user gave one."""
    columns: tuple[InferredColumn, ...]
    missing_values: tuple[str, ...]
    """Words and numbers that mean a missing value."""
    questions: tuple[str, ...] = field(default=())
    """What the user should decide, each with the option that decides it."""

    @property
    def rows(self) -> int:
        """Number of rows that were read."""
        return len(self.table.rows)

    @property
    def delimiter(self) -> str:
        """The delimiter of a CSV file."""
        return self.table.csv.delimiter

    def columns_of_kind(self, *kinds: ColumnKind) -> list[InferredColumn]:
        """Return the columns of some kinds, in the same order as in the file."""
        return [column for column in self.columns if column.kind in kinds]

    @property
    def lost_columns(self) -> list[InferredColumn]:
        """The columns with numbers that cannot be read."""
        return [column for column in self.columns if column.kind in LOST_NUMBERS]


def infer_schema(lines: Sequence[str], options: InferenceOptions = InferenceOptions()) -> Inference:
    """Infer a schema from the first lines of a CSV file, with the header; see `infer_table`."""
    return infer_table(read_csv_table(lines), options)


def infer_table(table: Table, options: InferenceOptions = InferenceOptions()) -> Inference:
    """Infer a schema from the first rows of a file.

    Raises DataError if there is no time column or no column of numbers, if the rows are in long
    form, or if an option names no column.
    """
    _check_option_names(table, options)
    decimal, thousands = guess_separators(
        (cell.strip() for row in table.rows for cell in row), delimiter=table.csv.delimiter
    )
    if not table.text_columns:
        csv_format = table.csv.model_copy(update={"decimal": decimal, "thousands": thousands})
        table = replace(table, csv=csv_format)
    time = find_time(table, names=options.time_names)
    guess, time_question = _decided_format(time.guess, options)
    numbers = map(number_of_text, options.missing_values)
    missing_numbers = frozenset(number for number in numbers if number is not None)
    read_number = number_cell_reader(table.csv)
    columns = [
        _classify(table, position, time.names, options, read_number, missing_numbers)
        for position in range(len(table.names))
    ]
    refuse_long_form(table, columns, time.names)
    columns, key_questions = _with_key(table, columns, joined_cells(table, time.names), options)
    missing_words = {word for column in columns for word in column.missing_words}
    inference = Inference(
        table,
        time.names,
        guess,
        options.zone,
        tuple(columns),
        tuple(sorted({*missing_words, *options.missing_values})),
        (*time_question, *key_questions, *_sentinel_questions(columns)),
    )
    if not inference.columns_of_kind(ColumnKind.SIGNAL):
        raise DataError(_no_signal_message(inference.columns))
    return inference


def _check_option_names(table: Table, options: InferenceOptions) -> None:
    wanted_names = [
        *options.time_names,
        *(options.key_names or ()),
        *options.context_names,
        *options.left_out_names,
    ]
    for name in wanted_names:
        if name not in table.names:
            found_names = ", ".join(table.names[:_MAX_SHOWN_COLUMNS])
            raise DataError(f"no column {short_repr(name)}; found {found_names}")


def _classify(
    table: Table,
    position: int,
    time_names: Sequence[str],
    options: InferenceOptions,
    read_number: Callable[[object], object],
    missing_numbers: frozenset[float],
) -> InferredColumn:
    name, path = table.names[position], table.paths[position]
    cells = [row[position].strip() for row in table.rows]
    if name in time_names:
        return InferredColumn(name, path, ColumnKind.TIME, len(cells))
    if name in options.left_out_names:
        return InferredColumn(name, path, ColumnKind.LEFT_OUT, len(cells))
    column = classify_column(name, path, cells, read_number, missing_numbers)
    if name in options.context_names and column.kind is ColumnKind.SIGNAL:
        return replace(column, kind=ColumnKind.CONTEXT)
    return column


def _with_key(
    table: Table,
    columns: Sequence[InferredColumn],
    times: Sequence[str],
    options: InferenceOptions,
) -> tuple[list[InferredColumn], list[str]]:
    """Return the columns with the kind KEY set, and questions about the id."""
    if options.key_names is not None:
        key_names = set(options.key_names)
        return [_as_key(column) if column.name in key_names else column for column in columns], []
    candidates = [
        column
        for column in columns
        if column.kind in (ColumnKind.TEXT, ColumnKind.SIGNAL, ColumnKind.ROW_NUMBER)
        and not column.unit
        and not column.words
        and is_key(
            column.name,
            table.cells(column.name),
            times,
            are_numbers=column.kind is not ColumnKind.TEXT,
        )
    ]
    questions = [
        f"{column.name!r} has another value in nearly every row, so it is no id of a sensor; "
        f"--key {column.name!r} uses it all the same"
        for column in columns
        if column.kind in (ColumnKind.TEXT, ColumnKind.ROW_NUMBER)
        and suggests_key(column.name)
        and is_message_id(table.cells(column.name))
    ]
    if not candidates:
        return list(columns), questions
    key = min(candidates, key=lambda column: not suggests_key(column.name))
    named = [column for column in candidates if suggests_key(column.name)]
    if len(named) > 1 and need_each_other([table.cells(column.name) for column in named], times):
        return [_as_key(column) if column in named else column for column in columns], questions
    others = [column.name for column in candidates if column is not key]
    if others:
        questions.append(
            f"{key.name!r} is read as the sensor's id, and {', '.join(map(repr, others))} could be "
            f"part of it: give --key once for each part"
        )
    if not suggests_key(key.name):
        questions.append(
            f"{key.name!r} behaves like the id of a sensor; --no-key if it is a measurement"
        )
    other_names = set(others)
    return [
        _as_key(column)
        if column is key
        else replace(column, kind=ColumnKind.TEXT)
        if column.name in other_names and suggests_key(column.name)
        else column
        for column in columns
    ], questions


def _as_key(column: InferredColumn) -> InferredColumn:
    return InferredColumn(column.name, column.path, ColumnKind.KEY, column.cells)


def _decided_format(guess: TimeGuess, options: InferenceOptions) -> tuple[TimeGuess, list[str]]:
    """Return the time format, and a question if the user should decide it."""
    questions = []
    if options.time_format is not None:
        guess = TimeGuess(options.time_format, guess.naive)
    elif guess.alternative and options.is_day_first is not None:
        formats = (guess.format, guess.alternative)
        is_day_first = [_is_day_first(time_format) for time_format in formats]
        if options.is_day_first in is_day_first:
            guess = TimeGuess(formats[is_day_first.index(options.is_day_first)], guess.naive)
    if guess.alternative:
        questions.append(
            f"the times fit {guess.format!r} and also {guess.alternative!r}; --day-first, "
            "--month-first or --time-format decides"
        )
    if guess.naive and options.zone is None:
        questions.append("the times have no zone and are read as UTC; --zone Europe/Berlin or such")
    return guess, questions


def _is_day_first(time_format: str) -> bool:
    month = max(time_format.find("%m"), time_format.find("%b"))
    return 0 <= time_format.find("%d") < month


def _sentinel_questions(columns: Iterable[InferredColumn]) -> list[str]:
    return [
        f"{column.name!r} is {column.sentinel[0]:g} in {column.sentinel[1]} rows, "
        f"far from all other values; if it means missing: --missing-value {column.sentinel[0]:g}"
        for column in columns
        if column.sentinel is not None
    ]


def _no_signal_message(columns: Sequence[InferredColumn]) -> str:
    column_texts = [
        f"{short_repr(column.name)} is {column.kind}" for column in columns[:_MAX_SHOWN_COLUMNS]
    ]
    hidden_count = len(columns) - _MAX_SHOWN_COLUMNS
    hidden_note = f", and {hidden_count} more" if hidden_count > 0 else ""
    return f"no column of numbers that could be a signal: {', '.join(column_texts)}{hidden_note}"
