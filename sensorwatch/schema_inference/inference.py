"""Infer a schema from the first rows of a file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.cells import number_cell_reader
from sensorwatch.common.rows.record_declarations import PayloadFormat
from sensorwatch.common.rows.rejection import short_repr
from sensorwatch.common.rows.schema import MAX_SIGNALS
from sensorwatch.schema_inference.column_guess import (
    LOST_NUMBERS,
    UNWANTED_SIGNALS,
    ColumnKind,
    InferredColumn,
    NumberReader,
    classify_column,
    is_row_number_name,
)
from sensorwatch.schema_inference.csv_layout_guess import read_csv_table
from sensorwatch.schema_inference.key_choice import choose_key
from sensorwatch.schema_inference.kind_guess import kind_questions, with_chosen_kinds
from sensorwatch.schema_inference.long_form import find_long_form, wide_table
from sensorwatch.schema_inference.number_form_guess import (
    guess_separators,
    may_have_thousands,
)
from sensorwatch.schema_inference.number_text import number_text
from sensorwatch.schema_inference.options import InferenceOptions
from sensorwatch.schema_inference.side_columns import with_side_columns
from sensorwatch.schema_inference.table import Table
from sensorwatch.schema_inference.time_choice import choose_time_format, choose_zone
from sensorwatch.schema_inference.time_columns import find_time, joined_cells
from sensorwatch.schema_inference.time_format_guess import TimeGuess

_MAX_SHOWN_COLUMNS = 10


@dataclass(frozen=True, slots=True)
class Inference:
    """The inferred form, time, id and columns of a file."""

    table: Table
    time_names: tuple[str, ...]
    time: TimeGuess
    zone: str | None
    """The zone of times without a zone, if the user or the data names it."""
    columns: tuple[InferredColumn, ...]
    missing_values: tuple[str, ...]
    """Words and numbers that mean a missing value."""
    questions: tuple[str, ...] = field(default=())
    """Questions that the user should decide, each with the option that decides it."""

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
    return infer_table(read_csv_table(lines, delimiter=options.delimiter), options)


def infer_table(table: Table, options: InferenceOptions = InferenceOptions()) -> Inference:
    """Infer a schema from the first rows of a file.

    Rows in long form become rows with one column per quantity first. Raises DataError if there is
    no time column, if no column or more columns than a schema may have could be signals, or if an
    option names no column.
    """
    options.check_names(table)
    if not table.is_json:
        decimal, thousands = guess_separators(
            (cell for column in table.columns for cell in column), delimiter=table.csv.delimiter
        )
        csv_format = table.csv.model_copy(update={"decimal": decimal, "thousands": thousands})
        table = replace(table, csv=csv_format)
    time = find_time(table, names=options.time_names, time_format=options.time_format)
    if options.zone is None and time.guess.naive:
        options = replace(options, zone=choose_zone(time.guess, table, time.names))
    guess, time_questions = choose_time_format(time.guess, options)
    read_number = number_cell_reader(table.csv)
    columns = [
        _classify(table, position, time.names, options, read_number)
        for position in range(len(table.names))
    ]
    times = joined_cells(table, time.names)
    columns = with_side_columns(table, columns, times, guess, options)
    table = _with_quality(table, columns)
    if options.key_names is None and table.long_form is None:
        long_columns = find_long_form(table, columns, time.names, read_number)
        if long_columns is not None:
            quantity_table = wide_table(table, long_columns, time.names, guess)
            quantities = quantity_table.names[len(time.names) + len(long_columns.ids) :]
            wide_options = options.for_wide_table(quantity_table.names, quantities)
            if table.array.payload is PayloadFormat.SENML:
                wide_options = replace(wide_options, key_names=long_columns.ids)
            return infer_table(quantity_table, wide_options)
    columns, key_questions = choose_key(table, columns, times, options, read_number)
    columns = with_chosen_kinds(columns, options)
    missing_words = {word for column in columns for word in column.missing_words}
    inference = Inference(
        table,
        time.names,
        guess,
        options.zone,
        tuple(columns),
        tuple(sorted({*missing_words, *options.missing_values})),
        (
            *table.questions,
            *time_questions,
            *key_questions,
            *_column_questions(columns, sorted(missing_words)),
            *_thousands_questions(table, columns),
            *kind_questions(table, columns, times, guess, options, read_number),
        ),
    )
    _check_signal_count(inference)
    return inference


def _classify(
    table: Table,
    position: int,
    time_names: Sequence[str],
    options: InferenceOptions,
    read_number: NumberReader,
) -> InferredColumn:
    name, path, cells = table.names[position], table.paths[position], table.columns[position]
    if name in time_names:
        return InferredColumn(name, path, ColumnKind.TIME, len(cells))
    if name in options.left_out_names:
        return InferredColumn(name, path, ColumnKind.LEFT_OUT, len(cells))
    column = classify_column(
        name,
        path,
        cells,
        read_number,
        missing_numbers=options.missing_numbers,
        missing_words=options.missing_words,
        is_signal=name in options.measured_names,
    )
    if name in options.context_names and column.kind is ColumnKind.SIGNAL:
        return replace(column, kind=ColumnKind.CONTEXT)
    return column


def _with_quality(table: Table, columns: Sequence[InferredColumn]) -> Table:
    """Return the table with the path of the first column of qualities, and a question about it."""
    names = [column.name for column in columns if column.kind is ColumnKind.QUALITY]
    if not names:
        return table
    question = (
        f"{names[0]!r} is read as the quality of all values, and values that are not good count "
        f"as missing; if that is wrong: --leave-out {names[0]}"
    )
    questions = (*table.questions, question)
    return replace(table, quality_path=table.path_of(names[0]), questions=questions)


def _column_questions(
    columns: Iterable[InferredColumn], missing_words: Sequence[str]
) -> Iterator[str]:
    for column in columns:
        if column.sentinels:
            values = [number_text(value) for value, _ in column.sentinels]
            quoted_words = [f'"{word}"' for word in missing_words]
            options = " ".join(f"--missing-value {value}" for value in values)
            counts = " and ".join(
                f"{value} in {count} rows"
                for value, (_, count) in zip(values, column.sentinels, strict=True)
            )
            yield (
                f"{column.name!r} is {counts}, far from all other values; if it means missing: "
                f"{options}, or in the schema: missing_values = "
                f"[{', '.join([*quoted_words, *values])}]"
            )
        if column.other_words and _have_letters(column.other_words):
            options = " ".join(f"--missing-value {word!r}" for word in column.other_words)
            yield (
                f"{column.name!r} has texts among its numbers; if they mean missing values: "
                f"{options}"
            )
        if column.kind is ColumnKind.ROW_NUMBER and not is_row_number_name(column.name):
            yield (
                f"{column.name!r} is left out as {column.kind}; if it is a measurement: "
                f"--signal {column.name}"
            )


def _thousands_questions(table: Table, columns: Iterable[InferredColumn]) -> Iterator[str]:
    """Ask about numbers such as 1.234 in a file that may have a decimal comma."""
    if table.is_json or table.csv.delimiter == ",":
        return
    for column in columns:
        if column.kind is ColumnKind.SIGNAL and may_have_thousands(table.cells(column.name)):
            yield (
                f"each number of {column.name!r} has three digits behind the point, and is read as "
                f"{number_text(column.low)} to {number_text(column.high)}; if the point separates "
                'thousands, write in the schema: [csv] decimal = "," and thousands = "."'
            )


def _have_letters(words: Iterable[str]) -> bool:
    return all(any(character.isalpha() for character in word) for word in words)


def _check_signal_count(inference: Inference) -> None:
    count = len(inference.columns_of_kind(ColumnKind.SIGNAL))
    if count > MAX_SIGNALS:
        raise DataError(
            f"{count} columns could be signals, and a schema has at most {MAX_SIGNALS}: write a "
            "schema by hand that names the signals, as docs/schema.md describes"
        )
    if count == 0:
        columns = inference.columns
        texts = [_column_text(column) for column in columns[:_MAX_SHOWN_COLUMNS]]
        hidden_count = len(columns) - _MAX_SHOWN_COLUMNS
        hidden_note = f", and {hidden_count} more" if hidden_count > 0 else ""
        raise DataError(
            f"no column of numbers that could be a signal: {', '.join(texts)}{hidden_note}"
        )


def _column_text(column: InferredColumn) -> str:
    is_useful = column.kind in LOST_NUMBERS and column.examples
    examples = f" ({', '.join(map(short_repr, column.examples))})" if is_useful else ""
    option = f" (--signal {column.name})" if column.kind in UNWANTED_SIGNALS else ""
    return f"{short_repr(column.name)} is {column.kind}{examples}{option}"
