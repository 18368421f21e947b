"""Tables in long form: one name and one value per row, converted to one column per quantity."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import median

from sensorwatch.common.rows.instants import BadTime
from sensorwatch.common.rows.paths import escape_key
from sensorwatch.common.rows.record_declarations import LongForm, PayloadFormat
from sensorwatch.common.rows.rejection import short_printable
from sensorwatch.schema_inference.column_guess import ColumnKind, InferredColumn, NumberReader
from sensorwatch.schema_inference.key_guess import (
    plain_name,
    separates_equal_times,
    suggests_key,
)
from sensorwatch.schema_inference.table import Table
from sensorwatch.schema_inference.time_columns import joined_cells
from sensorwatch.schema_inference.time_format_guess import TimeGuess, cell_time_reader

_NAME_COLUMNS = frozenset(
    {"metric", "metricname", "field", "parameter", "variable", "measurement", "signal", "quantity"}
    | {"attribute", "property", "item", "tag", "tagname", "entityid", "sensortype", "type", "name"}
    | {"datapoint", "point", "channel", "series", "key", "parametername", "variablename"}
    | {"characteristicname", "pollutant", "airpollutant", "analyte", "species", "kanal", "grandeur"}
)
_VALUE_COLUMNS = frozenset(
    {"value", "val", "reading", "state", "measure", "measuredvalue", "data", "concentration"}
    | {"samplemeasurement", "resultmeasurevalue", "wert", "messwert", "valeur", "valor"}
)
_UNIT_COLUMNS = frozenset({"unit", "units", "uom", "unitofmeasure", "einheit", "unidad", "eenheid"})
_MAX_NAMES = 200
_MIN_SCALE_RATIO = 10.0
_ID_KINDS = (ColumnKind.TEXT, ColumnKind.KEY)
_MAX_SHOWN_NAMES = 5
_MAX_STEP_ROWS = 5_000
_MIN_BUCKET_SECONDS = 0.001


@dataclass(frozen=True, slots=True)
class LongColumns:
    """The columns of a table in long form."""

    name: str
    """The column with the names of the quantities."""
    value: str
    """The column with their values."""
    ids: tuple[str, ...]
    """The columns that distinguish the values of the same quantity at the same time."""


def find_long_form(
    table: Table,
    columns: Sequence[InferredColumn],
    time_names: Sequence[str],
    read_number: NumberReader,
) -> LongColumns | None:
    """Return the columns of a table in long form; None if it has one column per quantity."""
    if table.array.payload is PayloadFormat.SENML and {"n", "v"} <= set(table.names):
        return LongColumns("n", "v", ("bn",) if "bn" in table.names else ())
    long_columns = _names_and_values(table, columns) or _names_and_values_by_scale(
        table, columns, time_names, read_number
    )
    if long_columns is None:
        return None
    name, value = long_columns
    ids = tuple(
        column.name
        for column in columns
        if column.name not in long_columns
        and column.kind in _ID_KINDS
        and _may_be_id(table, column.name, name)
    )
    return LongColumns(name, value, ids)


def wide_table(
    table: Table, long_columns: LongColumns, time_names: Sequence[str], guess: TimeGuess
) -> Table:
    """Return a table with one column per quantity, and one row per sensor and time."""
    index_names = [*time_names, *long_columns.ids]
    ids = list(zip(*map(table.cells, long_columns.ids), strict=True)) or [()] * len(table.rows)
    names, values = table.cells(long_columns.name), table.cells(long_columns.value)
    times = joined_cells(table, time_names)
    series = list(zip(names, ids, strict=True))
    step = None if table.array.path else _usual_step(times, series, guess)
    bucket_of = _bucket_reader(guess, step)
    indexes = list(zip(*map(table.cells, index_names), strict=True))
    quantities = tuple(dict.fromkeys(name for name in names if name))
    index_of_row: dict[object, tuple[str, ...]] = {}
    cells_of_row: dict[object, dict[str, str]] = {}
    for time, row_ids, index, name, value in zip(times, ids, indexes, names, values, strict=True):
        key = (bucket_of(time), row_ids)
        index_of_row.setdefault(key, index)
        cells_of_row.setdefault(key, {})[name] = value
    is_text = long_columns.value in table.text_columns
    index_texts = table.text_columns & set(index_names)
    return replace(
        table,
        names=(*index_names, *quantities),
        paths=(*map(table.path_of, index_names), *map(escape_key, quantities)),
        rows=tuple(
            (*index_of_row[key], *(cells.get(quantity, "") for quantity in quantities))
            for key, cells in cells_of_row.items()
        ),
        text_columns=index_texts | (frozenset(quantities) if is_text else frozenset()),
        questions=(*table.questions, _question(long_columns, quantities)),
        long_form=LongForm.model_validate(
            {
                "name": table.path_of(long_columns.name),
                "value": table.path_of(long_columns.value),
                "bucket_seconds": step,
            }
        ),
    )


def _question(long_columns: LongColumns, quantities: Sequence[str]) -> str:
    shown_names = short_printable(", ".join(quantities[:_MAX_SHOWN_NAMES]))
    return (
        f"the rows are in long form: {long_columns.name!r} names the quantity ({shown_names}) and "
        f"{long_columns.value!r} is its value; if {long_columns.name!r} names the sensor: --key "
        f"{long_columns.name}"
    )


def _bucket_reader(guess: TimeGuess, step_seconds: float | None) -> Callable[[str], object]:
    """Return a function from a time to its bucket, or to the time itself if there is no step."""
    if step_seconds is None:
        return lambda text: text
    read_time, step_us = cell_time_reader(guess), round(step_seconds * 1_000_000)

    def read(text: str) -> object:
        try:
            return read_time(text) // step_us
        except BadTime:
            return text

    return read


def _usual_step(times: Sequence[str], series: Sequence[object], guess: TimeGuess) -> float | None:
    """Return the usual time between two values of a series, in seconds; None if it is unknown.

    `times`, `series`: for each value, the text of its time, and its quantity and sensor.
    """
    read_time = cell_time_reader(guess)
    last_time_of_series: dict[object, int] = {}
    steps: list[int] = []
    for text, name in islice(zip(times, series, strict=True), _MAX_STEP_ROWS):
        try:
            time = read_time(text)
        except BadTime:
            continue
        last_time = last_time_of_series.get(name)
        if last_time is not None and time != last_time:
            steps.append(abs(time - last_time))
        last_time_of_series[name] = time
    return max(median(steps) / 1_000_000, _MIN_BUCKET_SECONDS) if steps else None


def _names_and_values(table: Table, columns: Sequence[InferredColumn]) -> tuple[str, str] | None:
    """Return the columns of names and values, if the names of the columns show them."""
    signals = [column.name for column in columns if column.kind is ColumnKind.SIGNAL]
    values = [column.name for column in columns if plain_name(column.name) in _VALUE_COLUMNS]
    names = [
        column.name
        for column in columns
        if plain_name(column.name) in _NAME_COLUMNS
        and column.kind in _ID_KINDS
        and 2 <= len(set(table.cells(column.name))) <= _MAX_NAMES
    ]
    if not names or not values:
        return None
    name_column = max(names, key=lambda name: len(set(table.cells(name))))
    others = [name for name in signals if name not in values]
    if not all(_follows(table, name, name_column) for name in others):
        return None
    return name_column, values[0]


def _names_and_values_by_scale(
    table: Table,
    columns: Sequence[InferredColumn],
    time_names: Sequence[str],
    read_number: NumberReader,
) -> tuple[str, str] | None:
    """Return the columns of names and values, if the name decides the value's scale or unit.

    The rows of the same time must have different names, because they are different quantities.
    """
    names = [
        column.name
        for column in columns
        if column.kind in (ColumnKind.TEXT, ColumnKind.SIGNAL)
        and not suggests_key(column.name)
        and 2 <= len(set(table.cells(column.name))) <= min(_MAX_NAMES, len(table.rows) // 5)
    ]
    signals = [column.name for column in columns if column.kind is ColumnKind.SIGNAL]
    for name in names:
        values = [signal for signal in signals if signal != name]
        if len(values) != 1:
            continue
        ids = [
            column.name
            for column in columns
            if column.kind in _ID_KINDS
            and column.name != name
            and suggests_key(column.name)
            and not _follows(table, column.name, name)
        ]
        instants = list(zip(*(table.cells(key) for key in (*time_names, *ids)), strict=True))
        texts = ["\0".join(instant) for instant in instants]
        if separates_equal_times(table.cells(name), texts) and (
            _has_units(table, columns, name)
            or _scales_differ(
                table.cells(name), [read_number(cell) for cell in table.cells(values[0])]
            )
        ):
            return name, values[0]
    return None


def _has_units(table: Table, columns: Sequence[InferredColumn], name: str) -> bool:
    """Return whether a column of units has one unit for each name, and several units."""
    return any(
        plain_name(column.name) in _UNIT_COLUMNS
        and len(set(table.cells(column.name))) > 1
        and _follows(table, column.name, name)
        for column in columns
        if column.name != name
    )


def _scales_differ(names: Sequence[str], values: Sequence[object]) -> bool:
    """Return whether the values of one name are much larger than those of another name."""
    values_of_name: dict[str, list[float]] = {}
    for name, value in zip(names, values, strict=True):
        if isinstance(value, float):
            values_of_name.setdefault(name, []).append(abs(value))
    if len(values_of_name) < 2:
        return False
    medians = sorted((median(sizes), name) for name, sizes in values_of_name.items())
    (small_median, small_name), (large_median, large_name) = medians[0], medians[-1]
    return large_median > _MIN_SCALE_RATIO * small_median and min(values_of_name[large_name]) > max(
        values_of_name[small_name]
    )


def _may_be_id(table: Table, name: str, name_column: str) -> bool:
    """Return whether a column distinguishes rows of a quantity, or is the only sensor's id."""
    is_constant = len(set(table.cells(name))) == 1
    return suggests_key(name) if is_constant else not _follows(table, name, name_column)


def _follows(table: Table, name: str, name_column: str) -> bool:
    """Return whether a column has one value for each value of another column."""
    distinct_pairs = set(zip(table.cells(name_column), table.cells(name), strict=True))
    return len(distinct_pairs) == len(set(table.cells(name_column)))
