"""Each form of a data file gives the rows that its schema declares, from both readers."""

import bz2
import gzip
import io
import json
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas
import pytest

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.rows_of_file import read_batches, read_numbered_rows, read_rows
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.rejection import Reason, Rejection
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import collect_rows

MIDNIGHT, MINUTE = 1_704_067_200_000_000, 60_000_000
TEMP, HUM = {"name": "temp"}, {"name": "hum"}
PLAIN = b"time,temp,hum\n2024-01-01 00:00:00,20.5,50\n2024-01-01 00:01:00,20.25,51\n"
PLAIN_TIME = {"field": "time", "naive_zone": "UTC"}


def a_schema(**parts: Any) -> Schema:
    return schema_from_plain({"time": PLAIN_TIME, "signals": [TEMP, HUM]} | parts)


def read_file(path: Path, schema: Schema) -> tuple[Readings, list[Rejection]]:
    """Read a file with both readers, and check that they give the same rows."""
    readings, rejections = join_batches(read_batches(path, schema), schema)
    strict_readings, strict_rejections = collect_rows(read_rows(path, schema), schema)
    assert rejections == strict_rejections
    assert readings.sensor_ids == strict_readings.sensor_ids
    for name in ("index", "event_time", "sensor", "values"):
        assert getattr(readings, name).tobytes() == getattr(strict_readings, name).tobytes()
    return readings, rejections


def assert_two_plain_rows(path: Path, schema: Schema) -> None:
    readings, rejections = read_file(path, schema)

    assert rejections == []
    assert readings.event_time.tolist() == [MIDNIGHT, MIDNIGHT + MINUTE]
    assert readings.values.tolist() == [[20.5, 50.0], [20.25, 51.0]]


def zipped(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("rows.csv", content)
    return file.getvalue()


CSV_FORMS: dict[str, tuple[bytes, dict[str, Any]]] = {
    "plain": (PLAIN, {}),
    "gzip": (gzip.compress(PLAIN), {}),
    "bzip2": (bz2.compress(PLAIN), {}),
    "xz": (lzma.compress(PLAIN), {}),
    "zip": (zipped(PLAIN), {}),
    "UTF-8 with a byte order mark": (b"\xef\xbb\xbf" + PLAIN, {}),
    "UTF-16 with a byte order mark": (PLAIN.decode().encode("utf-16"), {}),
    "UTF-16 without a byte order mark": (
        PLAIN.decode().encode("utf-16-be"),
        {"csv": {"encoding": "utf-16-be"}},
    ),
    "Windows-1252": (
        PLAIN.replace(b"temp", b"Temp (\xb0C)"),
        {
            "csv": {"encoding": "windows-1252"},
            "signals": [TEMP | {"field": "Temp (°C)"}, HUM],
        },
    ),
    "carriage returns": (PLAIN.replace(b"\n", b"\r"), {}),
    "carriage returns and line feeds": (PLAIN.replace(b"\n", b"\r\n"), {}),
    "tabs": (PLAIN.replace(b",", b"\t"), {"csv": {"delimiter": "\t"}}),
    "decimal commas": (
        b"time;temp;hum\n2024-01-01 00:00:00;20,5;50\n2024-01-01 00:01:00;20,25;51\n",
        {"csv": {"delimiter": ";", "decimal": ","}},
    ),
    "a separator line": (
        b"sep=;\n" + PLAIN.replace(b",", b";"),
        {"csv": {"delimiter": ";"}},
    ),
    "comments": (
        b"# logger\n#\n" + PLAIN.replace(b"50\n", b"50\n# pause, nothing\n"),
        {"csv": {"comment": "#"}},
    ),
    "lines before the header, and units after it": (
        b'"TOA5","DEMO"\n' + PLAIN.replace(b"hum\n", b'hum\n"TS","Deg C","%"\n"","Avg","Smp"\n'),
        {"csv": {"skip_lines": 1, "unit_rows": 2}},
    ),
    "no header": (
        PLAIN.split(b"\n", 1)[1],
        {"csv": {"names": ["time", "temp", "hum"]}},
    ),
    "spaces": (
        b"2024-01-01 00:00:00   20.5 50\n  2024-01-01  00:01:00 20.25\t51  \n",
        {
            "csv": {"delimiter": "spaces", "names": ["date", "clock", "temp", "hum"]},
            "time": {"field": ["date", "clock"], "naive_zone": "UTC"},
        },
    ),
    "the header in the middle": (PLAIN.replace(b"50\n", b"50\ntime,temp,hum\n"), {}),
    "a second header with quotes": (PLAIN.replace(b"50\n", b'50\n"time","temp","hum"\n'), {}),
    "an index without a name": (
        b"time,temp,hum\n0,2024-01-01 00:00:00,20.5,50\n1,2024-01-01 00:01:00,20.25,51\n",
        {},
    ),
    "nameless columns at the end": (PLAIN.replace(b"\n", b",,\n"), {}),
    "blank lines and spaces": (b"\n\n" + PLAIN.replace(b",", b", ").replace(b"\n", b"\n\n"), {}),
    "no line end at the end": (PLAIN.removesuffix(b"\n"), {}),
    "quotes": (PLAIN.replace(b"20.5", b'"20.5"'), {}),
    "words and units": (
        b"time,temp,hum\n2024-01-01 00:00:00,20.5 C,low\n2024-01-01 00:01:00,20.25C,HIGH\n",
        {
            "signals": [
                TEMP | {"numbers": "unit", "unit": "C"},
                HUM | {"words": {"low": 50, "high": 51}},
            ]
        },
    ),
}


@pytest.mark.parametrize("form", CSV_FORMS)
def test_the_same_rows_are_read_from_each_form_of_csv(form: str, tmp_path: Path) -> None:
    content, parts = CSV_FORMS[form]
    path = tmp_path / "rows.dat"
    path.write_bytes(content)

    assert_two_plain_rows(path, a_schema(**parts))


JSON_ROWS = [
    {"time": "2024-01-01 00:00:00", "temp": 20.5, "hum": 50},
    {"time": "2024-01-01 00:01:00", "temp": 20.25, "hum": 51},
]


@pytest.mark.parametrize(
    "content",
    [
        b"".join(json.dumps(row).encode() + b"\n" for row in JSON_ROWS),
        b"\n \r\n".join(json.dumps(row).encode() for row in JSON_ROWS),
        json.dumps(JSON_ROWS).encode(),
        json.dumps(JSON_ROWS, indent=2).encode(),
        gzip.compress(json.dumps(JSON_ROWS).encode(), mtime=0),
        "\ufeff".encode() + json.dumps(JSON_ROWS).encode(),
    ],
    ids=["lines", "blank lines", "array", "indented array", "gzip", "byte order mark"],
)
def test_the_same_rows_are_read_from_json_lines_and_json_arrays(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "rows.log"
    path.write_bytes(content)

    assert_two_plain_rows(path, a_schema())


@pytest.mark.parametrize("write", [pandas.DataFrame.to_parquet, pandas.DataFrame.to_feather])
def test_the_same_rows_are_read_from_parquet_and_arrow(
    write: Callable[..., object], tmp_path: Path
) -> None:
    path = tmp_path / "rows.bin"
    options = {} if write is pandas.DataFrame.to_parquet else {"compression": "uncompressed"}
    write(pandas.DataFrame(JSON_ROWS), path, **options)

    assert_two_plain_rows(path, a_schema())


def test_missing_cells_are_held_or_rejected_with_their_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(
        b"time;temp;hum\n2024-01-01 00:00:00;?;50\n2024-01-01 00:01:00;-200;51\n"
        b"2024-01-01 00:02:00;nan;n/a\n2024-01-01 00:03:00;1.999,20;51\n"
    )
    csv_form = {"delimiter": ";", "decimal": ",", "thousands": "."}
    missing_values = ["?", -200, "nan", "n/a"]
    schema = a_schema(csv=csv_form, defaults={"missing_values": missing_values})

    readings, rejections = read_file(path, schema)

    assert readings.values.tolist() == [[1999.2, 51.0]]
    assert [rejection.reason for rejection in rejections] == [Reason.NULL_VALUE] * 3
    lines = [line for line, _ in read_numbered_rows(path, schema)]
    assert lines == [2, 3, 4, 5]


def test_a_bad_line_never_ends_the_file(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_bytes(
        PLAIN + b"\0\0\0\0\n2024-01-01 00:02:00,\xff,1\n2024-01-01 00:03:00,1,2,3\n"
        b"2024-01-01 00:04:00," + b"9" * 200_000 + b",1\n2024-01-01 00:05:00,7,8\n"
        b"2024-01-01 00:06:00,2"
    )
    schema = a_schema(defaults={"missing": "hold_last"})

    readings, rejections = read_file(path, schema)

    assert readings.values.tolist() == [[20.5, 50.0], [20.25, 51.0], [7.0, 8.0]]
    assert [(rejection.index, rejection.reason) for rejection in rejections] == [
        (2, Reason.BAD_TIMESTAMP),
        (3, Reason.WRONG_TYPE),
        (4, Reason.UNKNOWN_FIELD),
        (5, Reason.TOO_LARGE),
        (7, Reason.MISSING_FIELD),
    ]
    assert "line 7" in rejections[3].detail
    assert "the file ends after 2 of 3 cells" in rejections[4].detail


def test_a_bad_json_line_is_a_rejection_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    good_line = json.dumps(JSON_ROWS[0]).encode()
    path.write_bytes(good_line + b"\n{\n\n[1]\n" + good_line + b'\n{"time": "2024-01-01 0')

    readings, rejections = read_file(path, a_schema())

    assert len(readings) == 2
    assert [(rejection.index, rejection.reason) for rejection in rejections] == [
        (1, Reason.NOT_JSON),
        (2, Reason.NOT_OBJECT),
        (4, Reason.NOT_JSON),
    ]
    assert [line for line, _ in read_numbered_rows(path, a_schema())] == [1, 2, 4, 5, 6]


def test_nan_in_json_is_missing_where_it_is_declared(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"
    path.write_text(json.dumps([JSON_ROWS[0] | {"temp": float("nan")}, JSON_ROWS[1]]))

    _, rejections = read_file(path, a_schema())
    readings, _ = read_file(
        path, a_schema(signals=[TEMP | {"missing": "hold_last", "missing_values": ["nan"]}, HUM])
    )

    assert [(rejection.reason, rejection.field) for rejection in rejections] == [
        (Reason.NOT_FINITE, "temp")
    ]
    assert readings.values[:, 1].tolist() == [50.0, 51.0]


def many_files(content: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("a.csv", content)
        archive.writestr("b.csv", content)
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (many_files(PLAIN), "zip archive of 2 files"),
        (b"\xd0\xcf\x11\xe0", "Excel workbook of an old version"),
        (b"SQLite format 3\0...", "is an SQLite database"),
        (b'<?xml version="1.0"?><rows/>', "is an XML file"),
        (gzip.compress(PLAIN, mtime=0)[:-12], "damaged or incomplete"),
        (PLAIN.replace(b"temp", b"t\xe9mp"), 'set encoding in [csv], for example "windows-1252"'),
        (PLAIN.decode().encode("utf-16-le"), "if it is UTF-16"),
        (b"[{]", "is not a JSON array of rows"),
        (b"", "is empty"),
    ],
    ids=["zip", "xls", "SQLite", "XML", "cut gzip", "windows-1252", "UTF-16", "array", "empty"],
)
def test_a_file_that_cannot_be_read_is_named_with_the_remedy(
    content: bytes, message: str, tmp_path: Path
) -> None:
    path = tmp_path / "rows"
    path.write_bytes(content)
    schema = a_schema()

    for read in (
        lambda: list(read_rows(path, schema)),
        lambda: list(read_batches(path, schema)),
    ):
        with pytest.raises(DataError) as error:
            read()
        assert message in str(error.value)
        assert str(path) in str(error.value)


def test_an_arrow_file_that_is_damaged_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.arrow"
    path.write_bytes(b"ARROW1\0\0" + b"x" * 100)

    with pytest.raises(DataError, match="cannot be read as Arrow"):
        list(read_rows(path, a_schema()))
