"""The report of an inference: what was understood, and how the first rows are read."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from sensorwatch.common.files.rows_of_file import read_numbered_rows
from sensorwatch.common.rows.csv_format import SPACES
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.row_summary import summarize, summary_lines, summary_warnings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.schema_inference.column_guess import ColumnKind, InferredColumn
from sensorwatch.schema_inference.inference import Inference

_SAMPLE_ROWS = 20_000
_SHOWN_ROWS = 3
_MAX_SHOWN_SIGNALS = 40
_USED_KINDS = (ColumnKind.TIME, ColumnKind.KEY, ColumnKind.SIGNAL, ColumnKind.CONTEXT)


def report_lines(inference: Inference, schema: Schema, path: Path) -> Iterator[str]:
    """Yield the lines of the report. The first rows of the file are read with the schema."""
    rows = [row for _, row in islice(read_numbered_rows(path, schema), _SAMPLE_ROWS)]
    readings, rejections = collect_rows(rows, schema)
    yield f"file       {_file_text(inference)}"
    yield from (f"           {note}" for note in inference.table.notes)
    yield f"rows       {len(rows)} read, {len(readings)} valid"
    yield from (
        f"           a rejected row: {rejection.field} {rejection.detail}"
        for rejection in rejections[:1]
    )
    yield f"time       {_time_text(inference)}"
    summary = summarize(readings)
    yield from summary_lines(summary)
    signals = inference.columns_of_kind(ColumnKind.SIGNAL, ColumnKind.CONTEXT)
    yield from (_column_text(column) for column in signals[:_MAX_SHOWN_SIGNALS])
    if len(signals) > _MAX_SHOWN_SIGNALS:
        yield f"           and {len(signals) - _MAX_SHOWN_SIGNALS} more signals"
    yield from (
        f"left out   {column.name!r}: {column.kind}"
        + (f", such as {column.examples[0]!r}" if column.examples else "")
        for column in inference.columns
        if column.kind not in _USED_KINDS
    )
    names = ", ".join(["time", "sensor", *schema.signal_names[:_MAX_SHOWN_SIGNALS]])
    yield f"the first rows, as they are read ({names}):"
    yield from _first_rows(readings)
    yield from (f"question   {question}" for question in inference.questions)
    yield from (f"warning    {warning}" for warning in summary_warnings(summary, schema))


def _file_text(inference: Inference) -> str:
    table = inference.table
    if not table.form.startswith("CSV"):
        return table.form
    csv_format = table.csv
    delimiter = "runs of spaces" if csv_format.delimiter == SPACES else repr(csv_format.delimiter)
    parts = [table.form, f"cells separated by {delimiter}"]
    if csv_format.decimal == ",":
        parts.append("decimal comma")
    if csv_format.thousands:
        parts.append(f"thousands separated by {csv_format.thousands!r}")
    if csv_format.skip_lines:
        below_text = "first row" if csv_format.names else "header"
        parts.append(f"lines before the {below_text}: {csv_format.skip_lines}")
    if csv_format.unit_rows:
        parts.append(f"{csv_format.unit_rows} lines of units after the header")
    if csv_format.comment:
        parts.append(f"comments begin with {csv_format.comment!r}")
    return ", ".join(parts)


def _time_text(inference: Inference) -> str:
    names = " and ".join(map(repr, inference.time_names))
    zone = f", zone {inference.zone or 'UTC (assumed)'}" if inference.time.naive else ""
    return f"{names} as {inference.time.format}{zone}"


def _column_text(column: InferredColumn) -> str:
    parts = [f"{column.low:g} to {column.high:g}"]
    if column.low == column.high:
        parts = [f"always {column.low:g}"]
    if column.unit:
        parts.append(f"unit {column.unit!r}")
    if column.words:
        parts.append(", ".join(f"{word} = {number}" for word, number in column.words))
    if column.missing:
        parts.append(f"{column.missing / column.cells:.1%} missing")
    if column.invalid:
        parts.append(f"{column.invalid / column.cells:.1%} are no number and rejected")
    kind = "signal" if column.kind is ColumnKind.SIGNAL else "context"
    return f"{kind:<11}{column.name!r}: {', '.join(parts)}"


def _first_rows(readings: Readings) -> Iterator[str]:
    for row in range(min(_SHOWN_ROWS, len(readings))):
        values = [f"{value:g}" for value in readings.values[row, :_MAX_SHOWN_SIGNALS].tolist()]
        time = format_instant(int(readings.event_time[row]))
        sensor = readings.sensor_ids[int(readings.sensor[row])]
        yield f"           {time}  {sensor}  {'  '.join(values)}"
