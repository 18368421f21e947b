"""Reads Parquet and Arrow files; it needs pyarrow, which is an optional dependency."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.opening import FileForm, file_form
from sensorwatch.common.rows.cells import check_columns
from sensorwatch.common.rows.field_declarations import TimeField
from sensorwatch.common.rows.paths import column_name
from sensorwatch.common.rows.record_declarations import UnknownFields
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import Fields
from sensorwatch.common.rows.written_times import write_time

BATCH_ROWS = 65_536


def read_arrow(path: Path, schema: Schema) -> Iterator[Fields]:
    """Yield the fields of every row of a Parquet or Arrow file, in order.

    A timestamp is converted to the schema's time format. A timestamp without a zone becomes a
    time without a zone. A sensor key that is null counts as absent.

    Raises DataError at the first row if pyarrow is not installed, if the file is damaged, or if a
    column is missing.
    """
    arrow = _import_pyarrow(path)
    form = file_form(path)
    read_batches = _parquet_batches if form is FileForm.PARQUET else _arrow_batches
    try:
        for batch in read_batches(path, schema):
            yield from _rows_of_batch(batch, schema, arrow)
    except (OSError, arrow.ArrowException) as error:
        raise DataError(f"{path} cannot be read as {form}: {error}") from error


def read_first_rows(path: Path, rows: int) -> Iterator[dict[str, object]]:
    """Yield the first rows of a Parquet or Arrow file, with all columns, as Python values.

    Raises the errors of `read_arrow`, except for missing columns.
    """
    arrow = _import_pyarrow(path)
    from pyarrow import dataset

    form = "parquet" if file_form(path) is FileForm.PARQUET else "ipc"
    try:
        yield from dataset.dataset(path, format=form).head(rows).to_pylist()
    except (OSError, arrow.ArrowException) as error:
        raise DataError(f"{path} cannot be read as {file_form(path)}: {error}") from error


def _parquet_batches(path: Path, schema: Schema) -> Iterator[Any]:
    from pyarrow import parquet

    with parquet.ParquetFile(path) as file:
        columns = _wanted_columns(path, list(file.schema_arrow.names), schema)
        yield from file.iter_batches(BATCH_ROWS, columns=columns)


def _arrow_batches(path: Path, schema: Schema) -> Iterator[Any]:
    from pyarrow import ipc

    with ipc.open_file(str(path)) as file:
        columns = _wanted_columns(path, list(file.schema.names), schema)
        for number in range(file.num_record_batches):
            batch = file.get_batch(number)
            yield batch if columns is None else batch.select(columns)


def _import_pyarrow(path: Path) -> Any:
    try:
        import pyarrow
    except ImportError as error:
        raise DataError(
            f"{path}: reading Parquet needs pyarrow, which is not installed; "
            'install it with `pip install ".[parquet]"` in the folder of this project'
        ) from error
    return pyarrow


def _wanted_columns(path: Path, names: list[str], schema: Schema) -> list[str] | None:
    """Return the names of the columns to read; None means all columns."""
    try:
        check_columns(schema, names)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    if schema.unknown_fields is UnknownFields.REJECT:
        return None
    wanted_names = schema.table_names
    return [name for name in names if name in wanted_names]


def _rows_of_batch(batch: Any, schema: Schema, arrow: Any) -> Iterator[Fields]:
    names = batch.schema.names
    columns = [
        _time_values(column, schema.time, arrow)
        if name == column_name(schema.time.fields[0])
        else _column_values(column, arrow)
        for name, column in zip(names, batch.columns, strict=True)
    ]
    key_names = [column_name(path) for path in schema.key.fields] if schema.key else []
    for values in zip(*columns, strict=True):
        record: dict[str, object] = dict(zip(names, values, strict=True))
        for name in key_names:
            if record.get(name, "") is None:
                del record[name]
        yield record


def _column_values(column: Any, arrow: Any) -> list[object]:
    if arrow.types.is_decimal(column.type):
        column = column.cast(arrow.float64())
    values: list[object] = column.to_pylist()
    return values


def _time_values(column: Any, time: TimeField, arrow: Any) -> list[object]:
    if not arrow.types.is_timestamp(column.type):
        return _column_values(column, arrow)
    zone = column.type.tz
    microseconds = column.cast(arrow.timestamp("us", tz=zone), safe=False).cast(arrow.int64())
    return [
        None if instant is None else _written_time(instant, time, has_zone=zone is not None)
        for instant in microseconds.to_pylist()
    ]


def _written_time(instant: int, time: TimeField, *, has_zone: bool) -> object:
    """Return an instant, in microseconds, in the declared format, which the parser then reads.

    The clock of a timestamp without a zone is the clock of the schema's zone.
    """
    if not has_zone:
        time = time.model_copy(update={"naive_zone": None})
    try:
        value = write_time(instant, time)[0]
    except OverflowError:
        # No time format can express a year above 9999; the parser rejects the returned text.
        return str(instant)
    is_naive = not has_zone and time.formats[0] == "rfc3339"
    return str(value).removesuffix("Z") if is_naive else value
