"""Infer a schema from the first rows of a file of any form."""

import json
from dataclasses import replace
from io import BytesIO
from itertools import islice
from pathlib import Path

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.arrow_file import read_first_rows
from sensorwatch.common.files.json_array import array_elements
from sensorwatch.common.files.json_file import has_arrays_in_lines
from sensorwatch.common.files.opening import ARROW_FORMS, FileForm, file_form
from sensorwatch.common.files.workbook import open_worksheet
from sensorwatch.common.rows.csv_format import CsvFormat
from sensorwatch.common.rows.record_declarations import PayloadFormat
from sensorwatch.common.rows.strict_parsing import decode_with_not_finite
from sensorwatch.schema_inference.array_rows import find_row_array
from sensorwatch.schema_inference.csv_layout_guess import read_csv_table
from sensorwatch.schema_inference.inference import Inference, infer_table
from sensorwatch.schema_inference.json_table import read_json_table
from sensorwatch.schema_inference.options import InferenceOptions
from sensorwatch.schema_inference.table import WORKSHEET_FORM, Table
from sensorwatch.schema_inference.text_sample import TextSample, first_lines, read_text_sample

_MAX_ROWS = 20_000
_MAX_SHOWN_SHEETS = 10
_FIRST_LINES = 3
_ENCODING_QUESTION = (
    "the text is not UTF-8 and is read as Windows-1252; if letters are wrong, --encoding names "
    "another encoding"
)


def infer_file(path: Path, options: InferenceOptions | None = None) -> Inference:
    """Infer a schema from a file. Raises DataError, which names the file, if that is impossible."""
    options = options or InferenceOptions()
    try:
        return infer_table(_read_table(path, options), options)
    except DataError as error:
        text = str(error)
        raise DataError(text if text.startswith(str(path)) else f"{path}: {text}") from error


def _read_table(path: Path, options: InferenceOptions) -> Table:
    if file_form(path) in ARROW_FORMS:
        return _read_arrow_table(path)
    if file_form(path) is FileForm.EXCEL:
        return _read_worksheet_table(path)
    sample = read_text_sample(path, encoding=options.encoding)
    compression = "" if sample.form is FileForm.TEXT else f", compressed with {sample.form}"
    beginning = sample.content.lstrip()
    if sample.encoding == "utf-8" and beginning.startswith((b"{", b"[", b'"{', b"\0")):
        return _read_json(sample, compression)
    mark_note = " with a byte order mark" if sample.has_mark else ""
    form = f"CSV in {sample.encoding.upper()}{mark_note}{compression}"
    encoding = "utf-8" if sample.has_mark else sample.encoding
    table = read_csv_table(sample.lines, encoding=encoding, form=form, delimiter=options.delimiter)
    if options.encoding is None and encoding == "windows-1252":
        return replace(table, questions=(_ENCODING_QUESTION,))
    return table


def _read_json(sample: TextSample, compression: str) -> Table:
    content = sample.content.lstrip()
    if content.startswith(b"["):
        return _read_json_array(content, compression, is_cut=sample.is_cut)
    if content.startswith(b"\0"):
        return read_json_table([content.strip()], form="JSON in Schema Registry's frame")
    lines = [line.encode("utf-8", "surrogateescape") for line in sample.lines if line.strip()]
    if len(lines) > 1 and all(_decode_payload(line) is None for line in lines[:_FIRST_LINES]):
        raise DataError(
            "JSON objects over several lines; wanted one object per line, or an array of objects: "
            "`jq -c . FILE` writes each object on one line, and `jq -c '.NAME[]' FILE` writes each "
            "element of the array NAME of an object on one line"
        )
    encoding_note = ", encoded twice" if content.startswith(b'"') else ""
    return read_json_table(lines, form=f"JSON lines{encoding_note}{compression}")


def _read_json_array(content: bytes, compression: str, *, is_cut: bool) -> Table:
    """Return the table of a file that begins with an array: one array of rows, or one per line."""
    lines = [line for line in content.splitlines() if line.strip()]
    if len(lines) > 1 and has_arrays_in_lines(lines[0], lines[1]):
        complete_lines = lines[:-1] if is_cut else lines
        return read_json_table(complete_lines, form=f"JSON lines of arrays{compression}")
    payloads = _first_elements(content, is_cut=is_cut)
    elements = [_decode_payload(payload) for payload in payloads]
    if find_row_array([elements]).payload is PayloadFormat.SENML:
        return read_json_table([content.strip()], form=f"a SenML pack{compression}")
    return read_json_table(payloads, form=f"a JSON array of rows{compression}")


def _first_elements(content: bytes, *, is_cut: bool) -> list[bytes]:
    """Return the first elements of a JSON array; `is_cut`: its end may be missing."""
    payloads: list[bytes] = []
    try:
        payloads.extend(islice(array_elements(BytesIO(content)), _MAX_ROWS))
    except ValueError as error:
        if not (is_cut and payloads):
            raise DataError(f"not a JSON array of rows: {error}") from error
    return payloads


def _decode_payload(payload: bytes) -> object:
    try:
        return decode_with_not_finite(payload)
    except (ValueError, RecursionError):
        return None


def _read_arrow_table(path: Path) -> Table:
    """Return the first rows of a Parquet or Arrow file as texts."""
    payloads = [json.dumps(row, default=str).encode() for row in read_first_rows(path, _MAX_ROWS)]
    return read_json_table(payloads, form=str(file_form(path)))


def _read_worksheet_table(path: Path) -> Table:
    csv_format = CsvFormat()
    with open_worksheet(path, csv_format) as worksheet:
        lines = first_lines(worksheet.stream)
    table = read_csv_table(lines, form=WORKSHEET_FORM, delimiter=csv_format.delimiter)
    note = f"worksheet {worksheet.name!r}"
    if worksheet.other_names:
        names = ", ".join(map(repr, worksheet.other_names[:_MAX_SHOWN_SHEETS]))
        hidden_count = len(worksheet.other_names) - _MAX_SHOWN_SHEETS
        more_note = f" and {hidden_count} more" if hidden_count > 0 else ""
        note += f" is read; the other sheets are not: {names}{more_note}"
    return replace(table, notes=(note, *table.notes))
