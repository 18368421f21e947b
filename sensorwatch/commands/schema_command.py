"""The command `sensorwatch schema`: infer a schema from rows, or check a file against one."""

from __future__ import annotations

import tomllib
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.commands.rejection_report import RejectionReport
from sensorwatch.common.errors import CheckFailed, DataError, UsageError
from sensorwatch.common.kafka.topic_uri import TOPIC_PREFIX
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_line, print_note, print_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sensorwatch.common.rows.row_summary import RowSummary
    from sensorwatch.common.rows.schema import Schema
    from sensorwatch.schema_inference.inference import Inference
    from sensorwatch.schema_inference.inference_report import Sample
    from sensorwatch.schema_inference.options import InferenceOptions

    SampleReader = Callable[[Schema], Sample]

app = typer_app(no_args_is_help=True)


@app.callback()
def schema() -> None:
    """Infer a schema from rows, or check a file against a schema."""


@app.command("infer")
def infer_command(
    source: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A file with rows, or kafka:TOPIC.", show_default=False
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(help="Schema file to write. Default: standard output.", show_default=False),
    ] = None,
    zone: Annotated[
        str | None,
        typer.Option(help="Zone of times without one, e.g. Europe/Berlin.", show_default=False),
    ] = None,
    day_first: Annotated[
        bool | None,
        typer.Option("--day-first/--month-first", help="The order of day and month in dates."),
    ] = None,
    time: Annotated[
        list[str] | None,
        typer.Option(
            help="Column of the time. Give it twice for date and time.", show_default=False
        ),
    ] = None,
    time_format: Annotated[
        str | None, typer.Option(help="Format of the time, see docs/schema.md.", show_default=False)
    ] = None,
    key: Annotated[
        list[str] | None,
        typer.Option(help="Column of the sensor's id. Give it once per part.", show_default=False),
    ] = None,
    no_key: Annotated[
        bool, typer.Option("--no-key", help="All rows come from one sensor.")
    ] = False,
    signal: Annotated[
        list[str] | None,
        typer.Option(
            help="Column that is a measurement, although it may not look so.", show_default=False
        ),
    ] = None,
    context: Annotated[
        list[str] | None,
        typer.Option(help="Column of context, such as a set-point.", show_default=False),
    ] = None,
    counter: Annotated[
        list[str] | None,
        typer.Option(help="Column of a total, such as kWh.", show_default=False),
    ] = None,
    angle: Annotated[
        list[str] | None, typer.Option(help="Column of an angle in degrees.", show_default=False)
    ] = None,
    leave_out: Annotated[
        list[str] | None, typer.Option(help="Column that is not used.", show_default=False)
    ] = None,
    missing_value: Annotated[
        list[str] | None,
        typer.Option(help="Number or word that means a missing value.", show_default=False),
    ] = None,
    delimiter: Annotated[
        str | None,
        typer.Option(help='One character, or "spaces", between the cells.', show_default=False),
    ] = None,
    encoding: Annotated[
        str | None, typer.Option(help="Encoding such as windows-1252.", show_default=False)
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Infer a schema from a file or a topic, and show the inferred form and columns.

    For a topic, the command reads the newest records, with the settings of the configuration file.
    The exit code is 1 if no row can be read, or if a column with numbers cannot be read.
    """
    from sensorwatch.common.rows.schema import schema_from_plain
    from sensorwatch.schema_inference.inference_report import report_lines
    from sensorwatch.schema_inference.options import InferenceOptions
    from sensorwatch.schema_inference.schema_text import schema_text

    options = InferenceOptions(
        zone=zone,
        is_day_first=day_first,
        time_names=tuple(time or ()),
        time_format=time_format,
        key_names=() if no_key else tuple(key) if key else None,
        signal_names=tuple(signal or ()),
        context_names=tuple(context or ()),
        counter_names=tuple(counter or ()),
        angle_names=tuple(angle or ()),
        left_out_names=tuple(leave_out or ()),
        missing_values=tuple(missing_value or ()),
        delimiter=delimiter,
        encoding=encoding,
    )
    is_topic = source.startswith(TOPIC_PREFIX)
    infer_source = _infer_topic if is_topic else _infer_file
    inference, read_sample = infer_source(source, options, config)
    name = source.removeprefix(TOPIC_PREFIX) if is_topic else Path(source).stem
    text = schema_text(inference, name=name.encode("utf-8", "replace").decode())
    try:
        row_schema = schema_from_plain(tomllib.loads(text))
    except UsageError as error:
        raise DataError(f"{source}: {error}") from error
    sample = read_sample(row_schema)
    report = list(report_lines(inference, row_schema, sample, named_signals=options.signal_names))
    if len(sample.readings) == 0:
        for line in report:
            print_note(line)
        raise CheckFailed(f"no row of {source} can be read with this schema; see the rejected row")
    if out is None:
        for line in report:
            print_note(line)
        print_text(text.removesuffix("\n"))
    else:
        for line in report:
            print_line(line)
        _write_new(out, text)
        if is_topic:
            print_line(f"wrote {out}; set [schema] path to it, and run: sensorwatch topics check")
        else:
            print_line(f"wrote {out}; check it: sensorwatch schema check {out} --data {source}")
    if inference.lost_columns:
        names = ", ".join(repr(column.name) for column in inference.lost_columns)
        raise CheckFailed(
            f'numeric columns cannot be read and would be left out: {names}; see "left out" '
            "above. To leave a column out on purpose, pass --leave-out NAME"
        )


def _infer_file(
    source: str, options: InferenceOptions, _config: Path | None
) -> tuple[Inference, SampleReader]:
    from sensorwatch.schema_inference.file_inference import infer_file
    from sensorwatch.schema_inference.inference_report import read_sample

    return infer_file(Path(source), options), partial(read_sample, Path(source))


def _infer_topic(
    source: str, options: InferenceOptions, config: Path | None
) -> tuple[Inference, SampleReader]:
    from sensorwatch.common.runtime.settings import load_settings
    from sensorwatch.schema_inference.topic_inference import (
        infer_topic,
        newest_records,
        read_record_sample,
    )

    topic = source.removeprefix(TOPIC_PREFIX)
    records = newest_records(load_settings(config).settings.kafka, topic)
    return infer_topic(topic, records, options), partial(read_record_sample, records)


def _write_new(out: Path, text: str) -> None:
    """Write a new file. Raises UsageError if it exists or cannot be written."""
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with out.open("x", encoding="utf-8") as target:
            target.write(text)
    except FileExistsError as error:
        raise UsageError(
            f"{error.filename} already exists: remove it, or give --out another path"
        ) from error
    except OSError as error:
        raise UsageError(f"{out} cannot be written: {error.strerror}") from error


@app.command("check")
def check_command(
    path: Annotated[Path, typer.Argument(metavar="SCHEMA", show_default=False)],
    data: Annotated[Path, typer.Option(help="A file with rows.", show_default=False)],
    strict: Annotated[
        bool, typer.Option("--strict", help="Exit with 1 if any row is rejected.")
    ] = False,
    as_of: Annotated[
        str, typer.Option("--as-of", help="Reject rows dated later than this RFC 3339 time or now.")
    ] = "now",
) -> None:
    """Show how many rows of a file would be rejected, by reason, with the first examples.

    The exit code is 1 if every row would be rejected. With --strict, the exit code is 1 if any row
    would be rejected.
    """
    from sensorwatch.common.rows.schema import load_schema
    from sensorwatch.common.runtime.row_summary_output import print_row_summary
    from sensorwatch.common.runtime.time_option import parse_time_option

    row_schema = load_schema(path)
    report, summary = _check_rows(row_schema, data, as_of=parse_time_option("--as-of", as_of))
    for line in report.lines():
        print_line(line)
    print_row_summary(summary, row_schema)
    if report.rows == 0:
        raise DataError(f"{data} has no rows; wanted at least one")
    if report.rejected == report.rows or (strict and report.rejected):
        raise CheckFailed(
            f"{report.rejected} of {report.rows} rows of {data} would be rejected by {path}"
        )


def _check_rows(
    row_schema: Schema, data: Path, *, as_of: int
) -> tuple[RejectionReport, RowSummary]:
    from sensorwatch.common.files.opening import ARROW_FORMS, FileForm, file_form
    from sensorwatch.common.files.rows_of_file import read_numbered_batches
    from sensorwatch.common.files.time_rules import FileTimeRules
    from sensorwatch.common.rows.row_summary import RowSummaryBuilder

    report, summary_builder = RejectionReport(), RowSummaryBuilder()
    time_rules = FileTimeRules(row_schema, as_of)
    label = "row" if file_form(data) in (*ARROW_FORMS, FileForm.EXCEL) else "line"
    for numbers, batch in read_numbered_batches(data, row_schema):
        readings, rejections = time_rules.apply(batch)
        summary_builder.add(readings)
        report.add(len(numbers), rejections, location=partial(_row_label, label, numbers))
    return report, summary_builder.summary()


def _row_label(label: str, numbers: Sequence[int], index: int) -> str:
    return f"{label} {numbers[index]}"
