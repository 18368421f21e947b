"""sensorwatch can read a file with the schema that was inferred from the file."""

import csv
import io
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.rows_of_file import read_rows
from sensorwatch.common.rows.field_declarations import KeyField
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.schema_inference.column_guess import ColumnKind
from sensorwatch.schema_inference.csv_layout_guess import DELIMITERS
from sensorwatch.schema_inference.inference import infer_schema
from sensorwatch.schema_inference.schema_text import schema_text
from sensorwatch.schema_inference.time_format_guess import STRPTIME_PATTERNS

START_TIME = datetime(2025, 3, 14, 9, 26, 53, tzinfo=UTC)


def csv_lines(header: list[str], rows: list[list[str]], delimiter: str = ",") -> list[str]:
    """Return the lines of a CSV file with a header and rows."""
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return file.getvalue().splitlines(keepends=True)


def inferred_schema(lines: list[str]) -> Schema:
    """Infer a schema, write it as TOML, and read the TOML, as `sensorwatch schema infer` does."""
    return schema_from_plain(tomllib.loads(schema_text(infer_schema(lines), name="inferred")))


def time_texts(time_format: str, count: int = 30) -> list[str]:
    """Return `count` times, each 13 hours after the one before.

    Some days are above 12, which shows which number is the day and which the month.
    """
    return [
        (START_TIME + timedelta(hours=13 * step)).strftime(time_format) for step in range(count)
    ]


PATTERNS = [
    pattern
    for pattern in STRPTIME_PATTERNS
    if pattern.startswith("%d.%m.%Y ") or pattern.endswith((" %H:%M:%S", " %I:%M %p", " %H.%M"))
] + ["%Y-%m-%d", "%d/%m/%Y", "%d-%b-%Y", "%Y%m%dT%H%M%S", "%Y%m%d%H%M%S", "%d/%b/%Y:%H:%M:%S %z"]


@pytest.mark.parametrize("time_format", PATTERNS)
def test_every_known_time_format_is_inferred_from_times_in_this_format(
    time_format: str, tmp_path: Path
) -> None:
    lines = csv_lines(["when", "x"], [[time, "1.5"] for time in time_texts(time_format)], "|")

    schema = inferred_schema(lines)

    assert schema.time.fields == ("when",)
    path = tmp_path / "file.csv"
    path.write_text("".join(lines), encoding="utf-8")
    readings, rejections = collect_rows(read_rows(path, schema), schema)
    assert rejections == []
    expected_times = [datetime.strptime(time, time_format) for time in time_texts(time_format)]  # noqa: DTZ007 - UTC next
    first_time = expected_times[0].replace(tzinfo=UTC).timestamp() * 1e6
    assert readings.event_time[0] == first_time


EPOCHS = [(1, "epoch_s"), (10**3, "epoch_ms"), (10**6, "epoch_us"), (10**9, "epoch_ns")]


@pytest.mark.parametrize(("units_per_second", "time_format"), EPOCHS)
def test_numbers_are_read_as_times_only_if_the_column_name_suggests_it(
    units_per_second: int, time_format: str
) -> None:
    rows = [[str(int(START_TIME.timestamp() + step) * units_per_second), "1"] for step in range(10)]

    assert inferred_schema(csv_lines(["timestamp", "x"], rows)).time.formats == (time_format,)
    with pytest.raises(DataError, match="no column of times"):
        infer_schema(csv_lines(["counter", "x"], rows))


def test_a_naive_zone_is_set_only_if_the_times_have_no_zone() -> None:
    lines_with_zone = csv_lines(["time", "x"], [["2025-01-01T00:00:00+02:00", "1"]])
    lines_without_zone = csv_lines(["time", "x"], [["2025-01-01T00:00:00", "1"]])

    assert inferred_schema(lines_with_zone).time.naive_zone is None
    assert inferred_schema(lines_without_zone).time.naive_zone == "UTC"


def test_a_comment_warns_if_day_and_month_are_ambiguous() -> None:
    lines = csv_lines(["date", "x"], [["01/01/2025 10:00", "1"], ["02/02/2025 10:00", "1"]])

    text = schema_text(infer_schema(lines), name="inferred")

    assert 'format = "%d/%m/%Y %H:%M"' in text
    assert '# "%m/%d/%Y %H:%M" fits as well' in text


@pytest.mark.parametrize(
    ("name", "highest", "is_suggested"),
    [
        ("wind_dir", 359, True),
        ("Heading", 360, True),
        ("dir", 350, True),
        ("heading", 20, False),
        ("direction", 500, False),
        ("directory", 20, False),
        ("power", 300, False),
    ],
)
def test_a_comment_suggests_wrap_for_an_angle(name: str, highest: int, is_suggested: bool) -> None:
    values = [highest - (7.5 * row) % highest for row in range(60)]
    rows = [
        [time, str(value)]
        for time, value in zip(time_texts("%Y-%m-%d %H:%M:%S", 60), values, strict=True)
    ]

    text = schema_text(infer_schema(csv_lines(["time", name], rows)), name="inferred")

    assert ("# wrap = 360" in text) == is_suggested


def test_the_kind_of_each_column_is_inferred() -> None:
    header = ["", "id", "time", "sensor_id", "temp", "flow", "const", "anomaly", "note", "void"]
    header += ["comma", "state", "mixed", "seq_no", "words"]
    rows = [
        [str(row), f"r{row}", time, f"s{row % 3}", f"{row},5", "" if row == 7 else "1e3"]
        for row, time in enumerate(time_texts("%Y-%m-%d %H:%M:%S"))
    ]
    for number, row in enumerate(rows):
        mixed_cell = str(number) if number % 2 else "see log"
        row += ["7", str(number % 2), "ok", "", "1,5", "ON" if number % 4 else "off"]
        row += [mixed_cell, str(number + 5), "n/a" if number == 3 else str(number)]

    result = infer_schema(csv_lines(header, rows, ";"))

    assert {column.name: column.kind for column in result.columns} == {
        "": ColumnKind.NAMELESS,
        "id": ColumnKind.MESSAGE_ID,
        "time": ColumnKind.TIME,
        "sensor_id": ColumnKind.KEY,
        "temp": ColumnKind.SIGNAL,
        "flow": ColumnKind.SIGNAL,
        "const": ColumnKind.SIGNAL,
        "anomaly": ColumnKind.LABEL,
        "note": ColumnKind.TEXT,
        "void": ColumnKind.EMPTY,
        "comma": ColumnKind.SIGNAL,
        "state": ColumnKind.SIGNAL,
        "mixed": ColumnKind.MIXED,
        "seq_no": ColumnKind.ROW_NUMBER,
        "words": ColumnKind.SIGNAL,
    }
    assert [column.name for column in result.lost_columns] == ["mixed"]
    text = schema_text(result, name="inferred")
    assert "# observed 0.5 to 29.5" in text
    assert "# 1 of 30 cells are missing" in text
    assert "# it never changed in these rows" in text
    assert text.count("change its [[signals]] to [[context]]") == 1
    assert '# not used: "anomaly", a label' in text
    schema = schema_from_plain(tomllib.loads(text))
    assert schema.signal_names == ("temp", "flow", "const", "comma", "state", "words")
    assert schema.key == KeyField(field=("sensor_id",))
    assert all(signal.min is signal.max is None for signal in schema.signals)
    assert all(signal.missing == "hold_last" for signal in schema.signals)
    assert all(signal.missing_values == ("n/a",) for signal in schema.signals)
    assert dict(schema.signals[4].words) == {"off": 0.0, "on": 1.0}
    assert (schema.csv.delimiter, schema.csv.decimal) == (";", ",")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "found 0 lines"),
        (["time,x\n"], "found 1 lines"),
        (["1,2\n", "3,4\n"], "no column of times"),
        (["time,note\n", "2025-01-01T00:00:00Z,ok\n"], "no column of numbers"),
        (["a,b\n", "1,2\n"], "no column of times"),
        (["a,b\n", "1,2,3,4\n"], "no column of times"),
        (["time,x\n", "2025-01-01,1\n", "2\n", "3\n", "4\n"], "it contains no times"),
    ],
)
def test_the_error_for_a_file_without_usable_rows_names_the_reason(
    lines: list[str], message: str
) -> None:
    with pytest.raises(DataError, match=message):
        infer_schema(lines)


COLUMN_NAMES = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="."), max_size=12
)


@given(
    names=st.lists(COLUMN_NAMES, max_size=5),
    rows=st.lists(st.lists(st.text(max_size=8), min_size=5, max_size=5), min_size=1, max_size=8),
    delimiter=st.sampled_from(DELIMITERS),
)
def test_an_inferred_schema_is_valid_for_any_column_names_and_cells(
    names: list[str], rows: list[list[str]], delimiter: str
) -> None:
    header = ["time", "level", *names]
    rows_of_cells = [["2025-01-01T00:00:00Z", "1.5", *row[: len(names)]] for row in rows]

    try:
        schema = inferred_schema(csv_lines(header, rows_of_cells, delimiter))
    except DataError:
        return  # some files are refused with a DataError
    assert schema.signals


@given(st.text(max_size=200))
def test_any_text_gives_a_valid_schema_or_a_data_error(text: str) -> None:
    try:
        result = infer_schema(text.splitlines(keepends=True))
    except DataError:
        return
    schema_from_plain(tomllib.loads(schema_text(result, name="inferred")))


def test_read_rows_reads_a_file_with_its_inferred_schema(tmp_path: Path) -> None:
    lines = csv_lines(["time", "x"], [["2025-01-01T00:00:00Z", "1"]], "\t")
    path = tmp_path / "file.csv"
    path.write_text("".join(lines), encoding="utf-8")

    (row,) = read_rows(path, inferred_schema(lines))
    assert row == {"time": "2025-01-01T00:00:00Z", "x": 1.0}
