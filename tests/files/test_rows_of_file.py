"""The readers of CSV and Parquet files return readings for valid rows, else rejections."""

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pandas
import pytest

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.rows_of_file import read_rows
from sensorwatch.common.rows.rejection import Reason, Rejection
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import collect_rows

EXPECTED_TIME = datetime(2025, 1, 1, 0, 0, 0, 250_000, tzinfo=UTC)
MICROSECONDS = 1_735_689_600_250_000


def a_schema(*, delimiter: str = ",", **time: str) -> Schema:
    return schema_from_plain(
        {
            "time": {"field": "timestamp", **({"naive_zone": "UTC"} | time)},
            "key": {"field": "sensor_id", "optional": True},
            "signals": [{"name": "x1"}],
            "csv": {"delimiter": delimiter},
        }
    )


def a_file(folder: Path, content: str | bytes, name: str = "rows.csv") -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read_file(path: Path, schema: Schema) -> tuple[list[float], list[Rejection]]:
    readings, rejections = collect_rows(read_rows(path, schema), schema)
    return readings.values.ravel().tolist(), rejections


def test_a_csv_is_read_in_order_with_the_delimiter_of_the_schema(tmp_path: Path) -> None:
    """The reader accepts a byte order mark, blank lines, quotes, and spaces after delimiters."""
    text = '\ufefftimestamp; "x1"\r\n2025-01-01T00:00:00Z; 1.5\r\n\r\n"2025-01-01T00:00:01Z";2\r\n'
    path = a_file(tmp_path, text)

    assert read_file(path, a_schema(delimiter=";")) == ([1.5, 2.0], [])


def test_a_line_that_is_too_long_is_rejected_and_later_lines_are_read(tmp_path: Path) -> None:
    lines = ["timestamp,x1", "2025-01-01T00:00:00Z," + "1" * 200_000, "2025-01-01T00:00:01Z,2"]

    values, rejections = read_file(a_file(tmp_path, "\n".join(lines)), a_schema())

    assert values == [2.0]
    assert [(rejection.index, rejection.reason) for rejection in rejections] == [
        (0, Reason.TOO_LARGE)
    ]


def test_bytes_that_are_not_utf8_reject_only_their_row(tmp_path: Path) -> None:
    content = b"timestamp,sensor_id,x1\n2025-01-01T00:00:00Z,\xff,1\n2025-01-01T00:00:01Z,b,2\n"

    values, rejections = read_file(a_file(tmp_path, content), a_schema())

    assert values == [2.0]
    assert [(rejection.index, rejection.reason) for rejection in rejections] == [
        (0, Reason.BAD_KEY)
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        ("\n\n", "is empty"),
        ("a,b\n1,2\n", "no column timestamp, x1 in the header; found a, b"),
    ],
)
def test_a_file_without_the_wanted_header_is_refused(
    tmp_path: Path, content: str, message: str
) -> None:
    path = a_file(tmp_path, content)

    with pytest.raises(DataError, match=message) as raised_error:
        next(read_rows(path, a_schema()))

    assert str(path) in str(raised_error.value)


@pytest.mark.parametrize("name", ["missing.csv", "missing.parquet"])
def test_the_error_names_a_missing_file(tmp_path: Path, name: str) -> None:
    with pytest.raises(DataError, match=name):
        next(read_rows(tmp_path / name, a_schema()))


def test_the_error_names_a_file_that_is_not_parquet(tmp_path: Path) -> None:
    path = a_file(tmp_path, b"PAR1, and then not a Parquet file", "rows.csv")

    with pytest.raises(DataError, match="cannot be read as Parquet"):
        next(read_rows(path, a_schema()))


def test_parquet_without_pyarrow_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = a_file(tmp_path, b"PAR1")
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)

    with pytest.raises(DataError, match=r"install \"\.\[parquet\]\""):
        next(read_rows(path, a_schema()))


@pytest.mark.parametrize("time_format", ["rfc3339", "epoch_s", "epoch_ms", "%d.%m.%Y %H:%M:%S.%f"])
@pytest.mark.parametrize("zone", [None, UTC, timezone(timedelta(hours=5))])
def test_a_timestamp_column_of_parquet_is_the_same_instant_in_every_declared_format(
    tmp_path: Path, time_format: str, zone: timezone | None
) -> None:
    timestamp = (
        EXPECTED_TIME.replace(tzinfo=None) if zone is None else EXPECTED_TIME.astimezone(zone)
    )
    path = tmp_path / "rows.parquet"
    frame = pandas.DataFrame(
        {"timestamp": [timestamp], "sensor_id": [None], "x1": [0.1], "no": [1]}
    )
    frame.to_parquet(path)
    schema = a_schema(format=time_format)

    readings, rejections = collect_rows(read_rows(path, schema), schema)

    assert rejections == []
    assert readings.event_time.tolist() == [MICROSECONDS]
    assert readings.sensor_ids == ("default",)
    assert readings.values.tolist() == [[0.1]]


def test_a_csv_and_a_parquet_file_of_one_table_give_the_same_rows(tmp_path: Path) -> None:
    frame = pandas.DataFrame(
        {
            "timestamp": ["2025-01-01T00:00:00Z", "2025-01-01T00:00:01Z", "later"],
            "sensor_id": ["a", "b", "b"],
            "x1": [0.1, 1e-300, 3.0],
        }
    )
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame.to_parquet(tmp_path / "rows.parquet")

    csv_rows = list(read_rows(tmp_path / "rows.csv", a_schema()))

    assert csv_rows == list(read_rows(tmp_path / "rows.parquet", a_schema()))
    assert len(csv_rows) == 3
