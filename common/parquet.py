"""Reader of Parquet files; it needs pyarrow, which is an optional dependency."""

from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.cells import check_columns, set_nested
from sensorwatch.common.rows.instants import EPOCH, format_instant
from sensorwatch.common.rows.schema import Schema, TimeField, UnknownFields
from sensorwatch.common.rows.strict_parsing import Fields

BATCH_ROWS = 65_536


def read_parquet(path: Path, schema: Schema) -> Iterator[Fields]:
    """Yield the fields of every row of a Parquet file, in order.

    A timestamp is converted to the schema's time format. A timestamp without a zone becomes a
    time without a zone. A sensor key that is null counts as absent.

    Raises DataError at the first row if pyarrow is not installed, if the file is missing or not
    Parquet, or if a column is missing.
    """
    arrow, parquet = _import_pyarrow(path)
    try:
        with parquet.ParquetFile(path) as file:
            columns = _wanted_columns(path, list(file.schema_arrow.names), schema)
            for batch in file.iter_batches(BATCH_ROWS, columns=columns):
                yield from _rows_of_batch(batch, schema, arrow)
    except (OSError, arrow.ArrowException) as error:
        raise DataError(f"{path} cannot be read as Parquet: {error}") from error


def _import_pyarrow(path: Path) -> tuple[Any, Any]:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(
            f"{path}: reading Parquet needs pyarrow, which is not installed; "
            'install it with `pip install ".[parquet]"` in the folder of this project'
        ) from error
    return pyarrow, parquet


def _wanted_columns(path: Path, names: list[str], schema: Schema) -> list[str] | None:
    """Return the names of the columns to read; None means all columns."""
    try:
        check_columns(schema, names)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    if schema.unknown_fields is UnknownFields.REJECT:
        return None
    wanted_names = {*schema.paths, *(field.split(".")[0] for field in schema.paths)}
    return [name for name in names if name in wanted_names]


def _rows_of_batch(batch: Any, schema: Schema, arrow: Any) -> Iterator[Fields]:
    names = batch.schema.names
    columns = [
        _time_values(column, schema.time, arrow)
        if name == schema.time.field
        else _column_values(column, arrow)
        for name, column in zip(names, batch.columns, strict=True)
    ]
    key_name = schema.key.field if schema.key else None
    nested_paths = [path for path in schema.paths if "." in path and path in names]
    for values in zip(*columns, strict=True):
        record: dict[str, object] = dict(zip(names, values, strict=True))
        if key_name is not None and record.get(key_name, "") is None:
            del record[key_name]
        for path in nested_paths:
            if path in record:
                set_nested(record, path, record.pop(path))
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
    write_time = _time_writer(time, has_zone=zone is not None)
    return [
        None if instant is None else write_time(instant) for instant in microseconds.to_pylist()
    ]


def _time_writer(time: TimeField, *, has_zone: bool) -> Callable[[int], object]:
    """Return a function that converts microseconds to the declared time format."""
    zone = ZoneInfo(time.naive_zone) if has_zone and time.naive_zone else UTC

    def write_rfc3339(instant: int) -> object:
        text = format_instant(instant)
        return text if has_zone else text.removesuffix("Z")

    def write_pattern(instant: int) -> object:
        utc_time = EPOCH + timedelta(microseconds=instant)
        return utc_time.astimezone(zone).strftime(time.format)

    match time.format:
        case "rfc3339":
            write_time: Callable[[int], object] = write_rfc3339
        case "epoch_s":
            write_time = _epoch_writer(1_000_000)
        case "epoch_ms":
            write_time = _epoch_writer(1_000)
        case _:
            write_time = write_pattern
    return lambda instant: _write_or_fall_back(write_time, instant)


def _epoch_writer(scale: int) -> Callable[[int], object]:
    return lambda instant: instant / scale if instant % scale else instant // scale


def _write_or_fall_back(write_time: Callable[[int], object], instant: int) -> object:
    try:
        return write_time(instant)
    except OverflowError:
        # No time format can express a year above 9999; the parser rejects the returned text.
        return str(instant)
