"""The report of an inference: the inferred form and columns, and how the first rows are read."""

import math
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from sensorwatch.common.files.rows_of_file import read_numbered_rows
from sensorwatch.common.rows.csv_format import SPACES
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.long_form import join_values
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Rejection, short_repr
from sensorwatch.common.rows.row_summary import summarize, summary_lines, summary_warnings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.set_points import set_point_texts
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.schema_inference.column_guess import USED_KINDS, ColumnKind, InferredColumn
from sensorwatch.schema_inference.inference import Inference
from sensorwatch.schema_inference.number_text import number_text
from sensorwatch.schema_inference.table import WORKSHEET_FORM

_SAMPLE_ROWS = 20_000
_SHOWN_ROWS = 3
_MAX_SHOWN_SIGNALS = 40
_MAX_SHOWN_VALUES = 8
_MAX_WIDTH = 32


@dataclass(frozen=True, slots=True)
class Sample:
    """The first rows of a file, read with a schema."""

    readings: Readings
    rejections: list[Rejection]


def read_sample(path: Path, schema: Schema) -> Sample:
    """Read the first rows of a file with a schema. Raises the errors of `read_rows`."""
    rows = islice(read_numbered_rows(path, schema), _SAMPLE_ROWS)
    if schema.long_form:
        return Sample(*join_values(rows, schema)[1])
    return Sample(*collect_rows((row for _, row in rows), schema))


def report_lines(
    inference: Inference, schema: Schema, sample: Sample, *, named_signals: Collection[str] = ()
) -> Iterator[str]:
    """Yield the lines of the report. `named_signals`: columns that the user declared as signals."""
    readings, rejections = sample.readings, sample.rejections
    yield f"file       {_file_text(inference)}"
    yield from (f"           {note}" for note in inference.table.notes)
    yield f"rows       {len(readings) + len(rejections)} read, {len(readings)} valid"
    yield from (
        f"           a rejected row: {rejection.field} {rejection.detail}"
        for rejection in rejections[:1]
    )
    yield f"time       {_time_text(inference)}"
    summary = summarize(readings)
    yield from summary_lines(summary)
    yield from _step_lines(readings)
    signals = inference.columns_of_kind(ColumnKind.SIGNAL, ColumnKind.CONTEXT)
    yield from (_column_text(column) for column in signals[:_MAX_SHOWN_SIGNALS])
    if len(signals) > _MAX_SHOWN_SIGNALS:
        yield f"           and {len(signals) - _MAX_SHOWN_SIGNALS} more signals"
    yield from _missing_lines(inference)
    yield from (
        f"left out   {column.name!r}: {column.kind}"
        + (f", such as {', '.join(map(short_repr, column.examples))}" if column.examples else "")
        for column in inference.columns
        if column.kind not in USED_KINDS
    )
    yield from _first_rows(readings, schema)
    yield from (f"question   {question}" for question in inference.questions)
    yield from (
        f"question   {text}; if it is a set-point or a command: --context {name}"
        for name, text in set_point_texts(readings, schema)
        if name not in named_signals
    )
    yield from (f"warning    {warning}" for warning in summary_warnings(summary, schema))


def _step_lines(readings: Readings) -> Iterator[str]:
    """Yield a line with the median time between two rows of a sensor."""
    row_order = np.lexsort((readings.event_time, readings.sensor))
    times, sensors = readings.event_time[row_order], readings.sensor[row_order]
    steps = np.diff(times)[sensors[1:] == sensors[:-1]]
    if len(steps):
        yield f"step       usually {number_text(float(np.median(steps)) / 1e6)} s between rows"


def _missing_lines(inference: Inference) -> Iterator[str]:
    columns = inference.columns_of_kind(ColumnKind.SIGNAL, ColumnKind.CONTEXT)
    count = sum(column.missing > 0 for column in columns)
    if count:
        words = ", ".join(map(repr, inference.missing_values)) or "empty cells only"
        yield (
            f"missing    in {count} of {len(columns)} columns ({words}); the schema sets "
            'missing = "hold_last" for all columns'
        )


def _file_text(inference: Inference) -> str:
    table = inference.table
    if table.is_json:
        return table.form
    csv_format, parts = table.csv, [table.form]
    if table.form != WORKSHEET_FORM:
        is_spaces = csv_format.delimiter == SPACES
        delimiter = "runs of spaces" if is_spaces else repr(csv_format.delimiter)
        parts.append(f"cells separated by {delimiter}")
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
    low, high = number_text(column.low), number_text(column.high)
    parts = [f"always {low}" if column.low == column.high else f"{low} to {high}"]
    if column.unit:
        parts.append(f"unit {column.unit!r}")
    if column.words:
        parts.append(", ".join(f"{word} = {number}" for word, number in column.words))
    if column.missing:
        parts.append(f"{column.missing / column.cells:.1%} missing")
    if column.invalid:
        parts.append(f"{column.invalid / column.cells:.1%} are not numbers and are rejected")
    kind = "signal" if column.kind is ColumnKind.SIGNAL else "context"
    return f"{kind:<11}{column.name!r}: {', '.join(parts)}"


def _first_rows(readings: Readings, schema: Schema) -> Iterator[str]:
    """Yield the first rows as a table with columns of equal width."""
    names = [*schema.signal_names, *schema.context_names]
    cells = [["time", "sensor", *names[:_MAX_SHOWN_VALUES]]]
    for row in range(min(_SHOWN_ROWS, len(readings))):
        numbers = [*readings.values[row].tolist(), *readings.context[row].tolist()]
        cells.append(
            [
                format_instant(int(readings.event_time[row])),
                readings.sensor_ids[int(readings.sensor[row])],
                *("-" if math.isnan(number) else number_text(number) for number in numbers),
            ]
        )
    hidden_note = (
        f", and {len(names) - _MAX_SHOWN_VALUES} more" if len(names) > _MAX_SHOWN_VALUES else ""
    )
    yield f"first {len(cells) - 1} rows, as they are read (- is a missing value{hidden_note}):"
    widths = [min(_MAX_WIDTH, max(map(len, column))) for column in zip(*cells, strict=False)]
    for row_cells in cells:
        texts = (cell[:width].ljust(width) for cell, width in zip(row_cells, widths, strict=False))
        yield f"           {'  '.join(texts)}".rstrip()
