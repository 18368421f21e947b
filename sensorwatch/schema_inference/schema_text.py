"""A guessed schema as a TOML file that a person goes on from."""

import json
from collections.abc import Iterator

from sensorwatch.schema_inference.inference import Column, Inference, Kind


def schema_text(found: Inference, *, name: str) -> str:
    """Write the schema; what was seen but decides nothing stands in comments."""
    blocks = [_head(found, name), _time(found), _key(found), *_signals(found), _end(found)]
    return "\n\n".join("\n".join(lines) for block in blocks if (lines := list(block))) + "\n"


def _head(found: Inference, name: str) -> Iterator[str]:
    yield f"# Guessed from {found.rows} rows by `sensorwatch schema infer`: check it before use."
    yield f"name = {_quoted(name)}"
    yield 'unknown_fields = "ignore"        # or "reject"'


def _time(found: Inference) -> Iterator[str]:
    (column,) = found.named(Kind.TIME)
    yield "[time]"
    yield f"field = {_quoted(column.name)}"
    if found.time.unclear:
        yield f"# {_quoted(found.time.unclear)} would fit as well: which one is it?"
    yield f"format = {_quoted(found.time.format)}"
    if found.time.naive:
        yield 'naive_zone = "UTC"               # the times have no zone: is it this one?'
    yield "# max_future_seconds = 300       # on a topic: reject what claims to be from the future"


def _key(found: Inference) -> Iterator[str]:
    for column in found.named(Kind.KEY):
        yield "[key]"
        yield f"field = {_quoted(column.name)}"
        yield "optional = false"


def _signals(found: Inference) -> Iterator[Iterator[str]]:
    yield _about_context()
    for column in found.named(Kind.SIGNAL):
        yield _signal(column)


def _about_context() -> Iterator[str]:
    yield "# Is one of these a command or a set-point? Write [[context]] for its [[signals]]:"
    yield "# context explains the signals and is never accused."


def _signal(column: Column) -> Iterator[str]:
    yield "[[signals]]"
    yield f"name = {_quoted(column.name)}"
    yield f"# observed {column.low:g} to {column.high:g}; min and max are for the impossible"
    if column.low == column.high:
        yield "# it never changed in these rows: a model learns nothing from it"
    if column.bad:
        yield f"# {column.bad} of {column.cells} rows have no finite number here: they are rejected"
    if column.empty:
        yield f"# of these, {column.empty} are empty; with this the sensor's last value stands in:"
        yield '# missing = "hold_last"'


def _end(found: Inference) -> Iterator[str]:
    unused = [one for one in found.columns if one.kind not in (Kind.TIME, Kind.KEY, Kind.SIGNAL)]
    for column in unused:
        yield f"# left out: {_quoted(column.name)}, {column.kind}"
    if unused:
        yield ""
    yield "[csv]"
    yield f"delimiter = {_quoted(found.delimiter)}"


def _quoted(text: str) -> str:
    """Write a text as a TOML basic string, which also cannot leave a comment's line."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
