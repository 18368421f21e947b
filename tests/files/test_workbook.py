"""The first worksheet of an Excel workbook gives the same rows as a CSV file."""

import random
import struct
from pathlib import Path
from typing import Any

import pytest

from sensorwatch.common.errors import DataError
from sensorwatch.common.files import workbook
from sensorwatch.common.files.rows_of_file import read_batches, read_numbered_rows
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Reason, Rejection
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from tests.files.workbook_builder import Cell, Styled, a_workbook, a_workbook_of_xml

MIDNIGHT, MINUTE = 1_735_689_600_000_000, 60_000_000  # 2025-01-01T00:00:00Z
DAY = 45_658.0  # the same day, in Excel's days since 1899-12-30
HEADER: list[Cell] = ["time", "id", "temp", "pump"]
SCHEMA = {
    "time": {"field": "time", "naive_zone": "UTC"},
    "key": {"field": "id"},
    "defaults": {"missing": "hold_last", "words": {"true": 1, "false": 0}},
    "signals": [{"name": "temp"}, {"name": "pump"}],
}


def a_schema(**parts: Any) -> Schema:
    return schema_from_plain(SCHEMA | parts)


def read(path: Path, content: bytes, schema: Schema) -> tuple[Readings, list[Rejection]]:
    path.write_bytes(content)
    return join_batches(read_batches(path, schema), schema)


def time_of(days: float) -> Styled:
    return Styled(days, "date and clock")


@pytest.mark.parametrize(
    "csv_form",
    [
        {},
        {"delimiter": ";", "decimal": ","},
        {"delimiter": "spaces"},
        {"delimiter": "\t", "decimal": ",", "thousands": "."},
    ],
    ids=str,
)
def test_cells_are_read_in_any_declared_form_of_csv(
    csv_form: dict[str, str], tmp_path: Path
) -> None:
    rows: dict[int, list[Cell]] = {
        1: HEADER,
        2: [time_of(DAY), "p 1", 20.25, True],
        3: [time_of(DAY + 1 / 1440), 17, 1234567.875, False],
        4: [time_of(DAY + 1.5), 'a "b"; c, d', None, "#N/A"],
    }

    readings, rejections = read(tmp_path / "a.bin", a_workbook(rows), a_schema(csv=csv_form))

    assert rejections == []
    assert readings.event_time.tolist() == [MIDNIGHT, MIDNIGHT + MINUTE, MIDNIGHT + 2160 * MINUTE]
    assert readings.sensor_ids == ("p 1", "17", 'a "b"; c, d')
    assert str(readings.values.tolist()) == "[[20.25, 1.0], [1234567.875, 0.0], [nan, nan]]"


def test_numbers_keep_the_bits_of_their_float64(tmp_path: Path) -> None:
    generator = random.Random(1)
    numbers = [
        number
        for bits in (generator.getrandbits(64) for _ in range(20_000))
        if abs(number := struct.unpack("d", struct.pack("Q", bits))[0]) < 1e38
    ]
    rows = {1: HEADER, **{row: [DAY, "p", x, x] for row, x in enumerate(numbers, start=2)}}

    readings, rejections = read(
        tmp_path / "a.xlsx",
        a_workbook(rows),
        a_schema(time={"field": "time", "format": "excel_days", "naive_zone": "UTC"}),
    )

    assert rejections == []
    assert readings.values[:, 0].tolist() == numbers
    assert set(readings.event_time.tolist()) == {MIDNIGHT}


def test_dates_are_local_times_of_the_zone_of_the_schema(tmp_path: Path) -> None:
    times: list[Cell] = [
        time_of(DAY),
        time_of(DAY + 1.5 / 86_400),
        "2025-01-01 00:00:02",
        "2025-01-01T00:00:03Z",
    ]
    rows = {1: HEADER, **{row: [time, "p", 1, 1] for row, time in enumerate(times, start=2)}}

    readings, _ = read(
        tmp_path / "a.xlsx",
        a_workbook(rows),
        a_schema(time={"field": "time", "naive_zone": "Europe/Berlin"}),
    )

    hour = 60 * MINUTE
    assert (readings.event_time - MIDNIGHT).tolist() == [
        -hour,
        -hour + 1_500_000,
        -hour + 2_000_000,
        3_000_000,
    ]


def test_a_date_and_a_clock_in_two_columns_are_one_time(tmp_path: Path) -> None:
    rows: dict[int, list[Cell]] = {
        1: ["date", "clock", "id", "temp", "pump"],
        2: [Styled(DAY, "date"), Styled(0.25, "clock"), "p", 1, 1],
        3: [Styled(DAY + 1, "date"), Styled(0.0, "clock"), "p", 2, 1],
    }

    readings, rejections = read(
        tmp_path / "a.xlsx",
        a_workbook(rows),
        a_schema(time={"field": ["date", "clock"], "naive_zone": "UTC"}),
    )

    assert [rejection.faults[0].detail for rejection in rejections] == []
    assert readings.event_time.tolist() == [MIDNIGHT + 360 * MINUTE, MIDNIGHT + 1440 * MINUTE]


def test_a_column_of_days_is_read_as_dates_and_durations_are_days(tmp_path: Path) -> None:
    rows: dict[int, list[Cell]] = {
        1: HEADER,
        2: [Styled(DAY, "date"), "p", Styled(1.5, "duration"), 1],
        3: [Styled(DAY + 1, "date"), "p", Styled(0.25, "duration"), 1],
    }

    readings, _ = read(
        tmp_path / "a.xlsx",
        a_workbook(rows),
        a_schema(time={"field": "time", "format": "%Y-%m-%d", "naive_zone": "UTC"}),
    )

    assert readings.event_time.tolist() == [MIDNIGHT, MIDNIGHT + 1440 * MINUTE]
    assert readings.values[:, 0].tolist() == [1.5, 0.25]


def test_the_number_of_a_row_is_its_number_in_the_sheet(tmp_path: Path) -> None:
    rows: dict[int, list[Cell]] = {
        2: ["Pump 7"],
        4: [*HEADER[:3], "pump\nstate"],
        5: [time_of(DAY), "p", 1, True],
        8: [time_of(DAY), "p", "broken\nline", True],
    }
    schema = a_schema(
        csv={"skip_lines": 3}, signals=[{"name": "temp"}, {"name": "pump", "field": "pump state"}]
    )
    path = tmp_path / "a.xlsx"
    path.write_bytes(a_workbook(rows, sheets=("Data", "Notes"), first_column="C"))

    numbers = [number for number, _ in read_numbered_rows(path, schema)]
    readings, rejections = join_batches(read_batches(path, schema), schema)

    assert numbers == [5, 8]
    assert len(readings) == 1
    assert [rejection.reason for rejection in rejections] == [Reason.WRONG_TYPE]
    assert "'broken line'" in rejections[0].faults[0].detail


def test_a_workbook_with_few_cells_far_apart_does_not_fill_memory(tmp_path: Path) -> None:
    cells = '<c r="A1"><v>1</v></c></row><row r="1048576"><c r="XFD1048576"><v>1</v></c>'
    bomb = a_workbook_of_xml(f'<row r="1">{cells}</row>')

    with pytest.raises(DataError, match=r"a\.xlsx is an Excel workbook that needs more than 2 GiB"):
        read(tmp_path / "a.xlsx", bomb, a_schema())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (a_workbook_of_xml("<row><c"), "cannot be read as an Excel workbook: "),
        (a_workbook({}, sheets=()), "no visible worksheet"),
        (a_workbook({}), "is empty; wanted a header line and rows"),
        (a_workbook({1: ["time", "id", "x"]}), "no column temp, pump in the header"),
    ],
    ids=["damaged", "no sheet", "empty", "column"],
)
def test_a_workbook_that_cannot_be_read_is_named_with_the_reason(
    content: bytes, message: str, tmp_path: Path
) -> None:
    with pytest.raises(DataError, match=message) as error:
        read(tmp_path / "a.xlsx", content, a_schema())
    assert str(tmp_path / "a.xlsx") in str(error.value)


def test_without_the_package_the_error_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workbook, "find_spec", lambda name: None)

    with pytest.raises(DataError, match=r'pip install "\.\[excel\]"'):
        read(tmp_path / "a.xlsx", a_workbook({1: HEADER}), a_schema())


def test_reading_can_stop_before_the_end(tmp_path: Path) -> None:
    rows: dict[int, list[Cell]] = {1: HEADER}
    rows |= {row: [time_of(DAY), "p", row, 1] for row in range(2, 20_000)}
    path = tmp_path / "a.xlsx"
    path.write_bytes(a_workbook(rows))

    numbered_rows = read_numbered_rows(path, a_schema())
    first_number, _ = next(numbered_rows)
    numbered_rows.close()  # type: ignore[attr-defined]

    assert first_number == 2
