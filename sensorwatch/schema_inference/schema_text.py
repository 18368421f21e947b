"""Write an inferred schema as TOML text that a person can edit."""

import json
import math
import re
from collections.abc import Iterator, Sequence

from sensorwatch.common.rows.csv_format import CsvFormat
from sensorwatch.common.rows.record_declarations import PayloadFormat
from sensorwatch.common.rows.values import number_of_text
from sensorwatch.schema_inference.column_guess import USED_KINDS, ColumnKind, InferredColumn
from sensorwatch.schema_inference.inference import Inference
from sensorwatch.schema_inference.number_text import number_text

_ANGLE_NAME = re.compile(r"direction|heading|bearing|azimuth|(?:^|[^a-z])w?dir(?:$|[^a-z])|winddir")


def schema_text(inference: Inference, *, name: str) -> str:
    """Return the schema as TOML; comments show observed values and what the user has to decide."""
    blocks = [
        _header_lines(inference, name),
        _long_form_lines(inference),
        _time_lines(inference),
        _key_lines(inference),
        _default_lines(inference),
        *_column_blocks(inference),
        _unused_and_csv(inference),
    ]
    return "\n\n".join("\n".join(lines) for block in blocks if (lines := list(block))) + "\n"


def _header_lines(inference: Inference, name: str) -> Iterator[str]:
    yield f"# Inferred from {inference.rows} rows by `sensorwatch schema infer`."
    yield "# Check it before use."
    yield f"name = {_toml(name)}"
    yield 'unknown_fields = "ignore"        # or "reject"'
    array = inference.table.array
    if array.payload is not PayloadFormat.JSON:
        yield f"payload = {_toml(array.payload)}"
    if array.path:
        yield f"rows = {_toml(array.path)}"


def _long_form_lines(inference: Inference) -> Iterator[str]:
    long_form = inference.table.long_form
    if long_form is None:
        return
    yield "[long_form]"
    yield f"name = {_toml(long_form.name)}"
    yield f"value = {_toml(long_form.values[0])}"
    if long_form.bucket_seconds is not None:
        yield f"bucket_seconds = {number_text(long_form.bucket_seconds)}"
        yield "# In a topic, the values of a sensor in a bucket of this length form one row."


def _time_lines(inference: Inference) -> Iterator[str]:
    paths = [inference.table.path_of(name) for name in inference.time_names]
    yield "[time]"
    yield f"field = {_toml(paths[0] if len(paths) == 1 else paths)}"
    if inference.time.alternative:
        yield f"# {_toml(inference.time.alternative)} fits as well: choose one."
    yield f"format = {_toml(inference.time.format)}"
    if inference.time.naive:
        comment = "" if inference.zone else "               # the times have no zone: check it"
        yield f"naive_zone = {_toml(inference.zone or 'UTC')}{comment}"
    yield "# max_future_seconds = 300       # reject times too far in the future"


def _key_lines(inference: Inference) -> Iterator[str]:
    paths = [column.path for column in inference.columns_of_kind(ColumnKind.KEY)]
    if paths:
        yield "[key]"
        yield f"field = {_toml(paths[0] if len(paths) == 1 else paths)}"
        yield "optional = false"


def _default_lines(inference: Inference) -> Iterator[str]:
    columns = inference.columns_of_kind(ColumnKind.SIGNAL, ColumnKind.CONTEXT)
    has_missing = any(column.missing for column in columns)
    quality_path = inference.table.quality_path
    if not has_missing and not inference.missing_values and not quality_path:
        return
    yield "[defaults]                       # rules of all columns"
    if quality_path:
        yield f"quality = {_toml(quality_path)}"
    if has_missing or quality_path:
        yield 'missing = "hold_last"            # or "reject": rows with missing values'
    if inference.missing_values:
        yield f"missing_values = {_missing_values(inference.missing_values)}"


def _column_blocks(inference: Inference) -> Iterator[Iterator[str]]:
    yield _context_hint()
    for column in inference.columns_of_kind(ColumnKind.SIGNAL):
        yield _column_lines("signals", column, inference)
    for column in inference.columns_of_kind(ColumnKind.CONTEXT):
        yield _column_lines("context", column, inference)


def _context_hint() -> Iterator[str]:
    yield "# If a signal is a command or a set-point, change its [[signals]] to [[context]]."
    yield "# Context explains the signals and never raises an alarm."


def _column_lines(table: str, column: InferredColumn, inference: Inference) -> Iterator[str]:
    yield f"[[{table}]]"
    yield f"name = {_toml(column.name)}"
    if column.path != column.name:
        yield f"field = {_toml(column.path)}"
    low, high = number_text(column.low), number_text(column.high)
    yield f"# observed {low} to {high}; min and max reject impossible values"
    if column.low == column.high:
        yield "# it never changed in these rows, so a model learns nothing from it"
    yield from _kind_lines(column)
    yield from _missing_lines(column, inference)
    if column.unit:
        yield f'numbers = "unit"\nunit = {_toml(column.unit)}'
    elif column.name in inference.table.text_columns and not column.words:
        yield 'numbers = "text"'
    if column.words:
        words = ", ".join(f"{_toml(word)} = {number}" for word, number in column.words)
        yield f"words = {{{words}}}"


def _kind_lines(column: InferredColumn) -> Iterator[str]:
    if column.is_counter:
        yield 'kind = "counter"'
    if column.wrap is not None:
        yield f"wrap = {number_text(column.wrap)}"
    elif _may_be_angle(column):
        yield "# wrap = 360                     # if it is an angle in degrees: 359 is close to 1"


def _missing_lines(column: InferredColumn, inference: Inference) -> Iterator[str]:
    if column.missing:
        yield f"# {column.missing} of {column.cells} cells are missing"
    if column.invalid:
        yield f"# {column.invalid} of {column.cells} cells are not numbers; such rows are rejected"
    if column.sentinels:
        numbers = [number_text(value) for value, _ in column.sentinels]
        values = _missing_values([*inference.missing_values, *numbers])
        yield f"# far from all other values: {', '.join(numbers)}; if this means missing:"
        yield f"# missing_values = {values}"


def _may_be_angle(column: InferredColumn) -> bool:
    """Return whether name and range of a column are those of an angle from 0 to 360 degrees."""
    return (
        _ANGLE_NAME.search(column.name.casefold()) is not None
        and column.low >= 0
        and 180 < column.high <= 360
    )


def _unused_and_csv(inference: Inference) -> Iterator[str]:
    unused_columns = [column for column in inference.columns if column.kind not in USED_KINDS]
    for column in unused_columns:
        yield f"# not used: {_toml(column.name)}, {column.kind}"
    if inference.table.is_json:
        return
    if unused_columns:
        yield ""
    yield "[csv]"
    csv_format, default = inference.table.csv, CsvFormat()
    for key, value in csv_format.model_dump(mode="json").items():
        if key == "delimiter" or (value != getattr(default, key) and value != []):
            yield f"{key} = {_toml(value)}"


def _missing_values(texts: Sequence[str]) -> str:
    return _toml([_number_or_text(text) for text in texts])


def _number_or_text(text: str) -> float | int | str:
    number = number_of_text(text)
    if number is None or not math.isfinite(number):  # nan and inf are words
        return text
    return int(number) if number.is_integer() else number


def _toml(value: str | float | Sequence[object]) -> str:
    """Return a text, a number or a list as TOML; line breaks are escaped."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
