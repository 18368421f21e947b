"""A schema is inferred from files of each form, and the file is read with it."""

import json
import tomllib
from pathlib import Path

import numpy as np
import pandas
import pytest

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.schema_inference.column_guess import ColumnKind
from sensorwatch.schema_inference.file_inference import infer_file
from sensorwatch.schema_inference.options import InferenceOptions
from sensorwatch.schema_inference.schema_text import schema_text
from tests.files.workbook_builder import Cell, Styled, a_workbook

ROWS = 12
DAY = 45_658.0  # 2025-01-01 in Excel's days


def infer(path: Path, **options: object) -> Schema:
    inference = infer_file(path, InferenceOptions(**options))  # type: ignore[arg-type]
    return schema_from_plain(tomllib.loads(schema_text(inference, name="inferred")))


def first_row(path: Path, schema: Schema) -> tuple[str, str, list[float]]:
    """Return the time, the sensor and the values of the first row; no row may be rejected."""
    readings, rejections = join_batches(read_batches(path, schema), schema)
    assert rejections == []
    return (
        format_instant(int(readings.event_time[0])),
        readings.sensor_ids[int(readings.sensor[0])],
        readings.values[0].tolist(),
    )


def write(tmp_path: Path, text: str, encoding: str = "utf-8") -> Path:
    path = tmp_path / "rows.dat"
    path.write_bytes(text.encode(encoding))
    return path


def lines_of(header: str, row: str) -> str:
    """Return a header and rows; in `row`, {minute} and {number} are replaced."""
    rows = [row.format(minute=f"{number:02}", number=number) for number in range(ROWS)]
    return "\n".join([header, *rows] if header else rows) + "\n"


FIRST = "2024-01-01T00:00:00Z"
FORMS = {
    "decimal comma": (lines_of("Zeit;T;H", "13.01.2024 00:{minute};{number},5;5"), [0.5, 5.0]),
    "two columns": (lines_of("Date;Time;V", "13/01/2024;00.{minute}.00;{number},5"), [0.5]),
    "no header": (lines_of("", "2024-01-13 00:{minute}:00.5 {number}.5 7"), [0.5, 7.0]),
    "preamble": (
        "logger X\n\nserial,77\n" + lines_of("time,a,b", "2024-01-13 00:{minute}:00,{number}.5,1"),
        [0.5, 1.0],
    ),
    "units": (
        lines_of("time,a,b\nTS,Deg C,%", "2024-01-13 00:{minute}:00,{number}.5,1"),
        [0.5, 1.0],
    ),
    "UTF-16": (lines_of("time\ta\tb", "2024-01-13 00:{minute}:00\t{number}.5\t1"), [0.5, 1.0]),
    "doubled names": (lines_of("time,a,a", "2024-01-13 00:{minute}:00,{number}.5,1"), [0.5, 1.0]),
    "cell units": (lines_of("time,a", "2024-01-13 00:{minute}:00,{number}.5 °C"), [0.5]),
    "spaces between digits": (
        lines_of("time;a", "2024-01-13 00:{minute}:00;1 0{minute},5"),
        [1000.5],
    ),
    "apostrophes between digits": (
        lines_of("time;a", "2024-01-13 00:{minute}:00;1'0{minute}.5"),
        [1000.5],
    ),
    "an index of times": (lines_of(",a", "2024-01-13 00:{minute}:00,{number}.5"), [0.5]),
    "a header in a comment": (lines_of("#time,a", "2024-01-13 00:{minute}:00,{number}.5"), [0.5]),
    "delimiters at the end": (lines_of("time,a", "2024-01-13 00:{minute}:00,{number}.5,"), [0.5]),
    "no seconds": (lines_of("time,a", "2024-01-13T00:{minute}Z,{number}.5"), [0.5]),
    "a compact date": (lines_of("d;c;a", "20240113;00:{minute}:00;{number}.5"), [0.5]),
    "an epoch without a clear name": (lines_of("t,a", "17051040{minute},{number}.5"), [0.5]),
    "month names": (lines_of("time,a", "13-Jan-2024 00:{minute}:00,{number}.5"), [0.5]),
    "two digits of the year": (lines_of("Datum;Zeit;V", "13.01.24;00:{minute};{number},5"), [0.5]),
    "12-hour clock": (lines_of("time,a", "01/13/2024 12:{minute} AM,{number}.5"), [0.5]),
}


@pytest.mark.parametrize("form", FORMS)
def test_each_form_of_csv_is_understood(form: str, tmp_path: Path) -> None:
    text, values = FORMS[form]
    path = write(tmp_path, text, "utf-16" if form == "UTF-16" else "utf-8")

    time, _, first_values = first_row(path, infer(path))

    assert time[:16] == "2024-01-13T00:00"
    assert first_values == values


def test_thousands_are_read(tmp_path: Path) -> None:
    path = write(tmp_path, lines_of("time,p", '2024-01-13 00:{minute}:00,"1,0{minute}.5"'))

    assert first_row(path, infer(path))[2] == [1000.5]


@pytest.mark.parametrize(
    ("record", "values"),
    [
        ({"temp": 20.5, "hum": 50}, [20.5, 50.0]),
        ({"data": {"temp": 20.5}, "PM2.5": 4}, [20.5, 4.0]),
        ({"temp": "20.5", "hum": "50"}, [20.5, 50.0]),
        ({"temp": 20.5, "on": True}, [20.5, 1.0]),
    ],
)
@pytest.mark.parametrize("as_array", [False, True])
def test_json_is_understood(
    record: dict[str, object], values: list[float], as_array: bool, tmp_path: Path
) -> None:
    records = [
        {"ts": 1_704_067_200 + 60 * row, "device": f"d{row % 2}"} | record for row in range(9)
    ]
    lines = "\n".join(json.dumps(row) for row in records)
    path = write(tmp_path, json.dumps(records) if as_array else lines)

    schema = infer(path)

    assert schema.time.formats == ("epoch_s",)
    assert first_row(path, schema) == (FIRST, "d0", values)


def test_json_in_a_json_text_is_named(tmp_path: Path) -> None:
    rows = [json.dumps({"ts": 1_704_067_200 + 60 * row, "temp": 20.5}) for row in range(9)]
    path = write(tmp_path, "\n".join(map(json.dumps, rows)))

    assert infer_file(path).table.form == "JSON lines, encoded twice"
    assert first_row(path, infer(path)) == (FIRST, "default", [20.5])


def test_parquet_is_understood(tmp_path: Path) -> None:
    path = tmp_path / "rows.parquet"
    times = pandas.date_range("2024-01-01", periods=9, freq="min", tz="UTC")
    pandas.DataFrame({"time": times, "temp": 20.5, "id": ["a", "b", "c"] * 3}).to_parquet(path)

    assert first_row(path, infer(path)) == (FIRST, "a", [20.5])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lines_of("Time,x", "00.{minute}.00,1"), "have no date"),
        ("time,x\n2025-01-01," + "1" * 200_000, "fewer than two lines"),
        ("{", "no row is a JSON object"),
        ('[["at", "flow"], ["2025-01-01T00:00:00Z", 1]]', "arrays of values without names"),
        ('{\n"time": "2024-01-01T00:00:00Z",\n"a": 1\n}\n', "JSON objects over several lines"),
        ("[{]", "not a JSON array"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path, text)

    with pytest.raises(DataError, match=message) as error:
        infer_file(path)
    assert str(error.value).startswith(str(path))


def test_a_suspicious_value_is_asked_for_and_never_applied_silently(tmp_path: Path) -> None:
    rows = [
        f"2024-01-01 00:{row:02}:00,{-200 if row % 9 == 4 else 20 + row % 3}" for row in range(60)
    ]
    path = write(tmp_path, "time,temp\n" + "\n".join(rows) + "\n")

    inference, schema = infer_file(path), infer(path)
    answered_schema = infer(path, missing_values=("-200",))

    assert any("--missing-value -200" in question for question in inference.questions)
    assert schema.signals[0].missing_values == ()
    assert answered_schema.signals[0].missing_values == (-200.0,)
    readings, _ = join_batches(read_batches(path, answered_schema), answered_schema)
    assert np.isnan(readings.values[:, 0]).sum() == 7


@pytest.mark.parametrize(
    ("ids", "is_key"),
    [
        ([1, 2, 3] * 20, True),
        ([*range(60)], False),
        ([row // 30 for row in range(60)], False),
        ([row % 2 for row in range(60)], False),
        ([(row * row) % 7 for row in range(60)], False),
    ],
)
def test_an_id_is_recognised_by_how_it_behaves(
    ids: list[int], is_key: bool, tmp_path: Path
) -> None:
    rows = [f"2024-01-01 00:{row:02}:00,{number},{row}.5" for row, number in enumerate(ids)]
    path = write(tmp_path, "time,c,temp\n" + "\n".join(rows) + "\n")

    assert (infer(path).key is not None) == is_key


def test_an_id_may_have_two_parts(tmp_path: Path) -> None:
    rows = [
        f"2024-01-01 00:{minute:02}:00,L{line},P{pump},{minute}.5"
        for minute in range(30)
        for line in (1, 2)
        for pump in (1, 2)
    ]
    path = write(tmp_path, "time,line,pump,temp\n" + "\n".join(rows) + "\n")

    assert first_row(path, infer(path)) == (FIRST, "L1/P1", [0.5])


@pytest.mark.parametrize(
    ("column", "is_key"),
    [
        ([7, 3, 9, 3, 7, 9, 9, 3] * 20, True),  # in no order, each with its own level
        (["x", "y", "z", "y", "x", "x"] * 27, True),
        ([row % 24 for row in range(160)], True),
        ([row // 8 % 3 for row in range(160)], False),  # long stretches, as a set-point has
    ],
)
def test_ids_have_levels_or_take_turns(column: list[object], is_key: bool, tmp_path: Path) -> None:
    level = {value: 40 * position for position, value in enumerate(dict.fromkeys(column))}
    rows = [
        f"2024-01-01 {row // 60:02}:{row % 60:02}:00,{value},{level[value] + row % 5}.5"
        for row, value in enumerate(column)
    ]
    path = write(tmp_path, "time,c,temp\n" + "\n".join(rows) + "\n")

    assert (infer(path).key is not None) == is_key


@pytest.mark.parametrize(
    ("name", "words"), [("relay", ["open", "closed"]), ("mode", ["auto", "manual", "off"])]
)
def test_states_are_no_ids(name: str, words: list[str], tmp_path: Path) -> None:
    rows = [
        f"2024-01-01 00:{row:02}:00,{words[row % len(words)]},{row % len(words)}.5"
        for row in range(60)
    ]
    path = write(tmp_path, f"time,{name},temp\n" + "\n".join(rows) + "\n")

    assert infer(path).key is None


def test_the_hour_is_no_id(tmp_path: Path) -> None:
    rows = [
        f"2024-01-{day:02} {hour:02}:00:00,{hour},{day}.5"
        for day in range(1, 9)
        for hour in range(24)
    ]
    path = write(tmp_path, "time,hour,temp\n" + "\n".join(rows) + "\n")

    assert infer(path).key is None


def test_two_suspicious_values_are_asked_for_at_once(tmp_path: Path) -> None:
    odd_values = {3: -9999, 7: -200}
    rows = [f"2024-01-01 00:{row:02}:00,{odd_values.get(row % 10, 20.25)}" for row in range(60)]
    path = write(tmp_path, "time,temp\n" + "\n".join(rows) + "\n")

    questions = infer_file(path).questions

    assert any("--missing-value -9999 --missing-value -200" in text for text in questions)


def test_ids_separate_rows_of_the_same_time(tmp_path: Path) -> None:
    rows = [
        f"2024-01-01 00:{minute:02}:00,{number},{minute}.5"
        for minute in range(30)
        for number in (4, 9)
    ]
    path = write(tmp_path, "time,c,temp\n" + "\n".join(rows) + "\n")

    assert first_row(path, infer(path)) == (FIRST, "4", [0.5])


def test_the_first_worksheet_is_inferred_and_the_others_are_named(tmp_path: Path) -> None:
    rows: dict[int, list[Cell]] = {1: ["Pump station 7"], 3: ["When", "Pump", "Temp\n(C)", "On"]}
    for number in range(60):
        time = Styled(DAY + number / 1440, "date and clock")
        rows[4 + number] = [time, f"p{number % 2}", 20 + number / 8, number % 3 == 0]
    path = tmp_path / "rows.xlsx"
    path.write_bytes(a_workbook(rows, sheets=("Data", "Notes", "Plan")))

    inference = infer_file(path)
    schema = infer(path)

    assert "worksheet 'Data' is read; the other sheets are not: 'Notes', 'Plan'" in (
        inference.table.notes
    )
    assert schema.time.formats == ("rfc3339",)
    assert schema.signal_names == ("Temp (C)", "On")
    assert first_row(path, schema) == ("2025-01-01T00:00:00Z", "p0", [20.0, 1.0])


def test_a_date_and_a_clock_of_a_worksheet_are_one_time(tmp_path: Path) -> None:
    rows: dict[int, list[Cell]] = {1: ["Date", "Clock", "x"]}
    for number in range(30):
        clock = Styled(0.25 + number / 1440, "clock")
        rows[2 + number] = [Styled(DAY, "date"), clock, number / 2]
    path = tmp_path / "rows.xlsx"
    path.write_bytes(a_workbook(rows))

    schema = infer(path)

    assert schema.time.fields == ("Date", "Clock")
    assert first_row(path, schema) == ("2025-01-01T06:00:00Z", "default", [0.0])


def test_a_worksheet_in_long_form_is_understood(tmp_path: Path) -> None:
    rows: dict[int, list[Cell]] = {1: ["time", "metric", "value"]}
    for number in range(60):
        time = Styled(DAY + number // 2 / 1440, "date and clock")
        rows[2 + number] = [time, ("temp", "hum")[number % 2], number / 2]
    path = tmp_path / "rows.xlsx"
    path.write_bytes(a_workbook(rows))

    schema = infer(path)

    assert schema.signal_names == ("temp", "hum")
    assert first_row(path, schema) == ("2025-01-01T00:00:00Z", "default", [0.0, 0.5])


def test_another_time_is_no_signal(tmp_path: Path) -> None:
    rows = [
        json.dumps(
            {
                "ts": 1_704_067_200_000 + 60_000 * row,
                "sent": 1_704_067_200.5 + 60 * row,
                "count": 1_704_067_200 + 7_000_000 * row,
                "temp": 20.5 + row % 3,
            }
        )
        for row in range(30)
    ]
    path = write(tmp_path, "\n".join(rows))

    assert infer(path).signal_names == ("count", "temp")
    kept = infer_file(path, InferenceOptions(signal_names=("sent",)))
    assert "sent" in [column.name for column in kept.columns_of_kind(ColumnKind.SIGNAL)]


@pytest.mark.parametrize(
    ("flags", "path_of_quality"),
    [(("good", "bad", "good"), "q"), ((192, 192, 0), "q"), ((1, 2, 3), ""), (("bad",) * 3, "")],
)
def test_a_column_of_qualities_is_recognised(
    flags: tuple[object, ...], path_of_quality: str, tmp_path: Path
) -> None:
    rows = [f"2024-01-01 00:{row:02}:00,{20.5 + row % 5},{flags[row % 3]}" for row in range(60)]
    path = write(tmp_path, "time,temp,q\n" + "\n".join(rows) + "\n")

    inference, schema = infer_file(path), infer(path)

    assert schema.signals[0].quality == path_of_quality
    asked = any("'q' is read as the quality" in question for question in inference.questions)
    assert asked == bool(path_of_quality)
    left_out = infer_file(path, InferenceOptions(left_out_names=("q",)))
    assert left_out.table.quality_path == ""
