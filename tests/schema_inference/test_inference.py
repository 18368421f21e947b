"""A schema guessed from a file reads that file."""

import csv
import io
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.schema import KeyField, Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import collect_rows
from sensorwatch.common.tables import read_rows
from sensorwatch.schema_inference.inference import DELIMITERS, ColumnKind, infer_schema
from sensorwatch.schema_inference.schema_text import schema_text
from sensorwatch.schema_inference.time_format_guess import PATTERNS

START = datetime(2025, 3, 14, 9, 26, 53, tzinfo=UTC)


def a_table(header: list[str], rows: list[list[str]], delimiter: str = ",") -> list[str]:
    """Write a CSV file's lines."""
    file = io.StringIO()
    csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return file.getvalue().splitlines(keepends=True)


def schema_from(lines: list[str]) -> Schema:
    """Take the way of the command: guess, write as TOML, read again."""
    return schema_from_plain(tomllib.loads(schema_text(infer_schema(lines), name="guessed")))


def times(form: str, count: int = 30) -> list[str]:
    """Rising times, 13 h apart, so that days above 12 come early."""
    return [(START + timedelta(hours=13 * step)).strftime(form) for step in range(count)]


@pytest.mark.parametrize("form", PATTERNS)
def test_every_known_pattern_is_recognised_in_what_it_writes(form: str, tmp_path: Path) -> None:
    lines = a_table(["when", "x"], [[time, "1.5"] for time in times(form)], "|")

    schema = schema_from(lines)

    assert schema.time.field == "when"
    path = tmp_path / "file.csv"
    path.write_text("".join(lines), encoding="utf-8")
    readings, rejected = collect_rows(read_rows(path, schema), schema)
    assert rejected == []
    expected = [datetime.strptime(time, form) for time in times(form)]  # noqa: DTZ007 - UTC next
    first = expected[0].replace(tzinfo=UTC).timestamp() * 1e6
    assert readings.event_time[0] == first


@pytest.mark.parametrize(("scale", "form"), [(1, "epoch_s"), (1000, "epoch_ms")])
def test_plain_numbers_are_times_only_under_a_name_that_says_so(scale: int, form: str) -> None:
    rows = [[str(int(START.timestamp() + step) * scale), "1"] for step in range(10)]

    assert schema_from(a_table(["timestamp", "x"], rows)).time.format == form
    with pytest.raises(DataError, match="no column of times"):
        infer_schema(a_table(["counter", "x"], rows))


def test_zones_decide_whether_naive_times_are_allowed() -> None:
    zoned = a_table(["time", "x"], [["2025-01-01T00:00:00+02:00", "1"]])
    naive = a_table(["time", "x"], [["2025-01-01T00:00:00", "1"]])

    assert schema_from(zoned).time.naive_zone is None
    assert schema_from(naive).time.naive_zone == "UTC"


def test_a_day_and_month_that_can_be_swapped_are_pointed_out() -> None:
    lines = a_table(["date", "x"], [["01/01/2025 10:00", "1"], ["02/02/2025 10:00", "1"]])

    text = schema_text(infer_schema(lines), name="guessed")

    assert 'format = "%d/%m/%Y %H:%M"' in text
    assert '# "%m/%d/%Y %H:%M" fits as well' in text


def test_each_column_is_taken_for_what_it_is() -> None:
    header = ["", "id", "time", "sensor_id", "temp", "flow", "const", "anomaly", "note", "void"]
    header += ["comma", "twice", "twice"]
    rows = [
        [str(row), f"r{row}", time, f"s{row % 3}", f"{row}.5", "" if row == 7 else "1e3"]
        for row, time in enumerate(times("%Y-%m-%d %H:%M:%S"))
    ]
    for number, row in enumerate(rows):
        row += ["7", str(number % 2), "ok", "", "1,5", "1", "2"]

    result = infer_schema(a_table(header, rows, ";"))

    assert {column.name: column.kind for column in result.columns} == {
        "": ColumnKind.NAMELESS,
        "id": ColumnKind.ROW_NUMBER,
        "time": ColumnKind.TIME,
        "sensor_id": ColumnKind.KEY,
        "temp": ColumnKind.SIGNAL,
        "flow": ColumnKind.SIGNAL,
        "const": ColumnKind.SIGNAL,
        "anomaly": ColumnKind.LABEL,
        "note": ColumnKind.TEXT,
        "void": ColumnKind.EMPTY,
        "comma": ColumnKind.DECIMAL_COMMA,
        "twice": ColumnKind.DUPLICATE_NAME,
    }
    text = schema_text(result, name="guessed")
    assert "# observed 0.5 to 29.5" in text
    assert "# 1 of 30 rows have no finite number here" in text
    assert "# 1 of these cells are empty;" in text
    held = schema_from_plain(tomllib.loads(text.replace("# missing = ", "missing = ")))
    assert [signal.missing for signal in held.signals] == ["reject", "hold_last", "reject"]
    assert "# it never changed in these rows" in text
    assert text.count("change its [[signals]] to [[context]]") == 1
    assert '# not used: "anomaly", a label' in text
    schema = schema_from_plain(tomllib.loads(text))
    assert schema.signal_names == ("temp", "flow", "const")
    assert schema.key == KeyField(field="sensor_id")
    assert all(signal.min is signal.max is None for signal in schema.signals)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([], "found 0 lines"),
        (["time,x\n"], "found 1 lines"),
        (["1,2\n", "3,4\n"], "the first line has no names"),
        (["time,note\n", "2025-01-01T00:00:00Z,ok\n"], "no column of numbers"),
        (["a,b\n", "1,2\n"], "no column of times"),
        (["a,b\n", "1,2,3\n"], "no row has as many cells as the header"),
    ],
)
def test_a_file_that_cannot_be_rows_is_refused_with_the_reason(lines: list[str], said: str) -> None:
    with pytest.raises(DataError, match=said):
        infer_schema(lines)


NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="."), max_size=12)


@given(
    names=st.lists(NAMES, max_size=5),
    rows=st.lists(st.lists(st.text(max_size=8), min_size=5, max_size=5), min_size=1, max_size=8),
    delimiter=st.sampled_from(DELIMITERS),
)
def test_whatever_is_guessed_is_a_schema(
    names: list[str], rows: list[list[str]], delimiter: str
) -> None:
    header = ["time", "level", *names]
    cells = [["2025-01-01T00:00:00Z", "1.5", *row[: len(names)]] for row in rows]

    try:
        schema = schema_from(a_table(header, cells, delimiter))
    except DataError:
        return  # it may refuse a file, in its own words
    assert schema.signals


@given(st.text(max_size=200))
def test_any_text_at_all_gives_a_schema_or_a_reason(text: str) -> None:
    try:
        result = infer_schema(text.splitlines(keepends=True))
    except DataError:
        return
    schema_from_plain(tomllib.loads(schema_text(result, name="guessed")))


def test_read_rows_takes_what_was_guessed(tmp_path: Path) -> None:
    lines = a_table(["time", "x"], [["2025-01-01T00:00:00Z", "1"]], "\t")
    path = tmp_path / "file.csv"
    path.write_text("".join(lines), encoding="utf-8")

    (row,) = read_rows(path, schema_from(lines))
    assert row == {"time": "2025-01-01T00:00:00Z", "x": 1.0}
