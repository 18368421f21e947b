"""Read rows as a DataFrame, and validate them with a schema."""

import tomllib
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.fast.timestamps import format_instants
from sensorwatch.common.rows.paths import column_name
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Rejection
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.schema_inference.file_inference import infer_file
from sensorwatch.schema_inference.inference import Inference, infer_schema
from sensorwatch.schema_inference.schema_text import schema_text

SCHEMA = "sensorwatch_schema"
"""Key in `DataFrame.attrs` under which the schema is stored."""
_SAMPLE_ROWS = 5_000


class RowsRejected(UserWarning):
    """The warning that some rows were left out because they are not valid."""


def read_rows(path: str | Path, schema: Schema | None = None) -> pd.DataFrame:
    """Return the valid rows of a file as a DataFrame.

    The columns are the time field (datetime64[us, UTC]), the key field, the signals and the context
    columns of the schema. `schema`: by default inferred from the first rows of the file. The
    function warns with RowsRejected if rows are rejected. Raises DataError if the file cannot be
    read.
    """
    file = Path(path)
    schema = schema or _schema_of_inference(infer_file(file))
    readings, rejections = join_batches(read_batches(file, schema), schema)
    _warn_of_rejections(rejections)
    return frame_of(readings, schema)


def schema_of(rows: pd.DataFrame) -> Schema:
    """Return the schema that `read_rows` stored in a DataFrame, or a schema inferred from the rows.

    Raises DataError if there is no time column or no column of numbers.
    """
    stored_schema = rows.attrs.get(SCHEMA)
    if stored_schema is not None:
        return schema_from_plain(stored_schema)
    sample = _with_time_texts(rows.head(_SAMPLE_ROWS)).to_csv(index=False)
    return _schema_of_inference(infer_schema(sample.splitlines()))


def readings_of(rows: pd.DataFrame, schema: Schema) -> tuple[Readings, list[Rejection]]:
    """Return the readings and rejections of a DataFrame.

    The `index` of a reading or rejection is the position of its row in `rows`. NaN, None and NaT
    count as missing values. The function warns with RowsRejected if rows are rejected.
    """
    texts = _with_time_texts(rows)
    fields = [name for name in schema.read_names if name in texts.columns]
    plain_values = texts[fields].astype(object).where(texts[fields].notna(), None)
    key_names = [column_name(path) for path in schema.key.fields] if schema.key else []
    records = [
        {
            str(name): value
            for name, value in record.items()
            if not (name in key_names and value is None)
        }
        for record in plain_values.to_dict(orient="records")
    ]
    readings, rejections = collect_rows(records, schema)
    _warn_of_rejections(rejections)
    return readings, rejections


def frame_of(readings: Readings, schema: Schema) -> pd.DataFrame:
    """Return readings as a DataFrame with the columns of `read_rows`."""
    columns: dict[str, Any] = {
        column_name(schema.time.fields[0]): pd.to_datetime(readings.event_time, unit="us", utc=True)
    }
    if schema.key is not None:
        sensor_ids = np.asarray(readings.sensor_ids, dtype=object)
        columns[column_name(schema.key.fields[0])] = (
            sensor_ids[readings.sensor] if len(sensor_ids) else []
        )
    value_table = np.concatenate([readings.values, readings.context], axis=1)
    columns |= {
        column_name(column.path): value_table[:, position]
        for position, column in enumerate(schema.columns)
    }
    frame = pd.DataFrame(columns)
    frame.attrs[SCHEMA] = schema.to_plain()
    return frame


def _with_time_texts(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the rows with all times as RFC 3339 texts; the text of a naive time has no zone."""
    times = rows.select_dtypes(include=["datetime", "datetimetz"])
    texts = {str(name): pd.Series(_time_texts(times[name]), rows.index) for name in times.columns}
    return rows.assign(**texts)


def _time_texts(times: "pd.Series[Any]") -> list[str | None]:
    has_zone = isinstance(times.dtype, pd.DatetimeTZDtype)
    utc_times = times.dt.tz_convert("UTC").dt.tz_localize(None) if has_zone else times
    microseconds = utc_times.astype("datetime64[us]").to_numpy().astype(np.int64)
    texts = format_instants(microseconds)
    return [
        None if is_missing else text if has_zone else text.removesuffix("Z")
        for text, is_missing in zip(texts, times.isna(), strict=True)
    ]


def _schema_of_inference(inference: Inference) -> Schema:
    return schema_from_plain(tomllib.loads(schema_text(inference, name="inferred")))


def _warn_of_rejections(rejections: list[Rejection]) -> None:
    if rejections:
        reasons = Counter(str(rejection.reason) for rejection in rejections)
        reason_counts = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        first_rejection = rejections[0]
        warnings.warn(
            f"{len(rejections)} rows were rejected ({reason_counts}). "
            f"The first is row {first_rejection.index}: "
            f"{first_rejection.field}: {first_rejection.detail}",
            RowsRejected,
            stacklevel=3,
        )
