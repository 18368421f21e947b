"""Write an inferred schema as TOML text that a person can edit."""

import json
from collections.abc import Iterator

from sensorwatch.schema_inference.inference import ColumnKind, Inference, InferredColumn


def schema_text(inference: Inference, *, name: str) -> str:
    """Return the schema as TOML; comments show observed values and what the user has to decide."""
    blocks = [
        _header_lines(inference, name),
        _time_lines(inference),
        _key_lines(inference),
        *_signal_blocks(inference),
        _unused_and_csv(inference),
    ]
    return "\n\n".join("\n".join(lines) for block in blocks if (lines := list(block))) + "\n"


def _header_lines(inference: Inference, name: str) -> Iterator[str]:
    yield f"# Inferred from {inference.rows} rows by `sensorwatch schema infer`."
    yield "# Check it before use."
    yield f"name = {_toml_string(name)}"
    yield 'unknown_fields = "ignore"        # or "reject"'


def _time_lines(inference: Inference) -> Iterator[str]:
    (column,) = inference.columns_of_kind(ColumnKind.TIME)
    yield "[time]"
    yield f"field = {_toml_string(column.name)}"
    if inference.time.alternative:
        yield f"# {_toml_string(inference.time.alternative)} fits as well: choose one."
    yield f"format = {_toml_string(inference.time.format)}"
    if inference.time.naive:
        yield 'naive_zone = "UTC"               # the times have no zone: check this zone'
    yield "# max_future_seconds = 300       # on a topic: reject times too far in the future"


def _key_lines(inference: Inference) -> Iterator[str]:
    for column in inference.columns_of_kind(ColumnKind.KEY):
        yield "[key]"
        yield f"field = {_toml_string(column.name)}"
        yield "optional = false"


def _signal_blocks(inference: Inference) -> Iterator[Iterator[str]]:
    yield _context_hint()
    for column in inference.columns_of_kind(ColumnKind.SIGNAL):
        yield _signal_lines(column)


def _context_hint() -> Iterator[str]:
    yield "# If a signal is a command or a set-point, change its [[signals]] to [[context]]."
    yield "# Context explains the signals and never raises an alarm."


def _signal_lines(column: InferredColumn) -> Iterator[str]:
    yield "[[signals]]"
    yield f"name = {_toml_string(column.name)}"
    yield f"# observed {column.low:g} to {column.high:g}; min and max reject impossible values"
    if column.low == column.high:
        yield "# it never changed in these rows, so a model learns nothing from it"
    if column.not_finite:
        yield f"# {column.not_finite} of {column.cells} rows have no finite number here"
        yield "# and are rejected"
    if column.empty:
        yield f"# {column.empty} of these cells are empty; this key carries the last value forward:"
        yield '# missing = "hold_last"'


def _unused_and_csv(inference: Inference) -> Iterator[str]:
    unused_columns = [
        column
        for column in inference.columns
        if column.kind not in (ColumnKind.TIME, ColumnKind.KEY, ColumnKind.SIGNAL)
    ]
    for column in unused_columns:
        yield f"# not used: {_toml_string(column.name)}, {column.kind}"
    if unused_columns:
        yield ""
    yield "[csv]"
    yield f"delimiter = {_toml_string(inference.delimiter)}"


def _toml_string(text: str) -> str:
    """Return a text as a TOML basic string, in which line breaks are escaped."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
