"""Times in the forms of loggers and data portals are read right, or the error names the remedy."""

import json
import tomllib
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.schema_inference.file_inference import infer_file
from sensorwatch.schema_inference.inference import Inference, infer_schema
from sensorwatch.schema_inference.schema_text import schema_text

START = datetime(2024, 3, 13, 22)  # noqa: DTZ001 - the files have local times
HOURS = [START + timedelta(hours=hour) for hour in range(8)]
MONTH_STARTS = [datetime(2024, month, 1) for month in range(1, 9)]  # noqa: DTZ001 - as above


def csv_text(header: str, row: str, times: list[datetime] = HOURS) -> str:
    """Return a CSV file; `row` is a strptime pattern to which the value of each row is added."""
    rows = [f"{time.strftime(row)},{number}.5" for number, time in enumerate(times)]
    return "\n".join([header, *rows]) + "\n"


def read_times(tmp_path: Path, text: str) -> tuple[Inference, list[str]]:
    """Return what was inferred, and the time of each row; no row may be rejected."""
    path = tmp_path / "rows.csv"
    path.write_text(text, encoding="utf-8")
    inference = infer_file(path)
    schema = schema_from_plain(tomllib.loads(schema_text(inference, name="inferred")))
    readings, rejections = join_batches(read_batches(path, schema), schema)
    assert rejections == []
    assert schema.key is None
    return inference, [format_instant(time) for time in readings.event_time.tolist()]


def texts_of(times: list[datetime]) -> list[str]:
    return [f"{time.isoformat()}Z" for time in times]


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("Date,Hour,a", "%Y-%m-%d,%H"),
        ("date,hr,a", "%m/%d/%Y,%-H"),
        ("Datum,Stunde,a", "%d.%m.%Y,%-H"),
        ("date,hrmn,a", "%Y%m%d,%H%M"),
        ("date,TIME,a", "%Y-%m-%d,%H%M%S"),
        ("year,month,day,hour,a", "%Y,%-m,%-d,%-H"),
        ("yr,mo,dy,hr,mn,a", "%y,%m,%d,%H,%M"),
        ("Year,DOY,Hour,a", "%Y,%-j,%-H"),
        ("MESS_DATUM,a", "%Y%m%d%H"),
        ("time,a", "%Y%m%d%H%M"),
        ("time,a", "%Y%m%dT%H%M%SZ"),
        ("time,a", "%Y-%jT%H:%M:%S"),
        ("time,a", "%G-W%V-%uT%H:%M"),
        ("time,a", "%Y-%m-%d %H:%M:%S:000"),
        ("time,a", "%d-%b-%y %I.%M.%S.000000 %p"),
        ("time,a", '"%a, %d %b %Y %H:%M:%S GMT"'),
        ("time,a", '"%a, %d %b %Y %H:%M:%S +0000"'),
        ("time,a", "%a %b %d %Y %H:%M:%S GMT+0000 (Greenwich Mean Time)"),
    ],
)
def test_times_in_parts_and_compact_forms_are_read(header: str, row: str, tmp_path: Path) -> None:
    assert read_times(tmp_path, csv_text(header, row))[1] == texts_of(HOURS)


def test_hour_24_in_a_column_of_hours_is_the_end_of_the_day(tmp_path: Path) -> None:
    rows = "".join(f"2024-03-13,{hour},{hour}.5\n" for hour in range(1, 25))

    times = read_times(tmp_path, f"Date,Hour Ending,a\n{rows}")[1]

    assert times[0] == "2024-03-13T01:00:00Z"
    assert times[-1] == "2024-03-14T00:00:00Z"


def test_a_column_of_hours_beside_a_whole_time_is_not_a_part_of_the_time(tmp_path: Path) -> None:
    text = csv_text("timestamp,date,hour,a", "%Y-%m-%d %H:%M:%S,%Y-%m-%d,%H")

    inference, times = read_times(tmp_path, text)

    assert inference.time_names == ("timestamp",)
    assert times == texts_of(HOURS)


@pytest.mark.parametrize(
    ("header", "row"), [("month,a", "%Y-%m"), ("when,a", "%b %Y"), ("year,month,a", "%Y,%-m")]
)
def test_a_month_is_the_time_of_its_start(header: str, row: str, tmp_path: Path) -> None:
    assert read_times(tmp_path, csv_text(header, row, MONTH_STARTS))[1] == texts_of(MONTH_STARTS)


@pytest.mark.parametrize(
    ("header", "row", "zone", "first_time"),
    [
        ("time,a", "%Y-%m-%d %H:%M:%S EST", "EST", "2024-03-14T03:00:00Z"),
        ("time,a", "%Y-%m-%dT%H:%M:%S+01:00[Europe/Berlin]", None, "2024-03-13T21:00:00Z"),
        ('"Date, GMT-05:00",a', "%m/%d/%y %I:%M:%S %p", "Etc/GMT+5", "2024-03-14T03:00:00Z"),
        ("time UTC+1,a", "%d.%m.%Y %H:%M", "Etc/GMT-1", "2024-03-13T21:00:00Z"),
        ("time,tz,a", "%Y-%m-%d %H:%M,Europe/Oslo", "Europe/Oslo", "2024-03-13T21:00:00Z"),
    ],
)
def test_the_zone_that_the_data_names_is_used(
    header: str, row: str, zone: str | None, first_time: str, tmp_path: Path
) -> None:
    inference, times = read_times(tmp_path, csv_text(header, row))

    assert inference.zone == zone
    assert times[0] == first_time
    assert not any("--zone" in question for question in inference.questions)


def test_an_abbreviation_with_several_meanings_is_asked(tmp_path: Path) -> None:
    inference, times = read_times(tmp_path, csv_text("time,a", "%Y-%m-%d %H:%M:%S CST"))

    assert times == texts_of(HOURS)
    assert any("end with 'CST'" in question for question in inference.questions)


@pytest.mark.parametrize(
    ("first_cells", "remedy"),
    [
        (["04.03.2024 00:00 - 04.03.2024 01:00"], "the start of each in a column"),
        (["2024-03-30 10:00 CET", "2024-03-31 10:00 CEST"], "the offset from UTC"),
        (["/Date(1709510400000)/"], "write the number alone"),
        (["2024-W10"], "the day of the week behind each"),
        (["4 mars 2024 00:00"], "write the month as a number"),
        (["'2024-03-04 00:00:00'"], "write double quotes"),
        (["04/03/2024 12:00:00 a.m."], "write AM or PM"),
        (["133539840000000000"], "Windows times"),
        (["638451072000000000"], ".NET ticks"),
        (["2460373.5"], "Julian days"),
        (["739315.0"], "MATLAB"),
        (["0.0", "0.5", "1.0", "1.5", "2.0"], "in equal steps, as elapsed time does"),
    ],
)
def test_the_remedy_for_times_that_no_format_reads_is_possible(
    first_cells: list[str], remedy: str
) -> None:
    with pytest.raises(DataError) as error:
        infer_schema(["time,a\n", *(f"{cell},{len(cell)}.5\n" for cell in first_cells)])

    assert remedy in str(error.value)
    assert "strptime" not in str(error.value)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        (json.dumps({"hourly": {"time": ["2024-03-13T22:00"], "a": [1.5]}}), "one object per row"),
        ("".join(f"pump,site=north a={row}.5,b=2 {row}\n" for row in range(3)), "line protocol"),
    ],
)
def test_a_form_without_rows_is_named(text: str, remedy: str, tmp_path: Path) -> None:
    path = tmp_path / "rows.txt"
    path.write_text(text, encoding="utf-8")

    with pytest.raises(DataError, match=remedy):
        infer_file(path)
