"""In a file, the order of the rows shows which of two equal local times is meant."""

from pathlib import Path

import pytest

from sensorwatch.common.files import csv_file
from sensorwatch.common.files.rows_of_file import read_batches
from sensorwatch.common.rows.batches import join_batches
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.rows.schema import Schema, schema_from_plain

HALF_PAST_MIDNIGHT = 1_729_981_800_000_000
"""2024-10-26T22:30:00Z, which is half past midnight in Berlin; in microseconds."""
HOUR, MINUTE = 3_600_000_000, 60_000_000


def a_schema(zone: str = "Europe/Berlin", fold: str = "infer") -> Schema:
    return schema_from_plain(
        {
            "time": {"field": "time", "naive_zone": zone, "fold": fold},
            "key": {"field": "id", "optional": True},
            "signals": [{"name": "x"}],
        }
    )


def local_times() -> list[str]:
    """Return a local time for every half hour of five hours; one of the hours occurs twice."""
    hours = [0, 1, 2, 2, 3]
    times = [f"2024-10-27 {hour:02}:{minute:02}:00" for hour in hours for minute in (0, 30)]
    return times[1:]


def read_times(path: Path, lines: list[str], schema: Schema | None = None) -> dict[str, list[int]]:
    path.write_text("time,id,x\n" + "".join(f"{line},1\n" for line in lines))
    batches = read_batches(path, schema or a_schema())
    readings, rejections = join_batches(batches, schema or a_schema())
    assert rejections == []
    return {
        name: readings.event_time[readings.sensor == number].tolist()
        for number, name in enumerate(readings.sensor_ids)
    }


@pytest.mark.parametrize("chunk_bytes", [1 << 20, 40])
def test_a_repeated_hour_is_resolved_by_the_order_of_the_rows(
    chunk_bytes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_file, "_CHUNK_BYTES", chunk_bytes)
    expected_times = [HALF_PAST_MIDNIGHT + step * HOUR // 2 for step in range(9)]

    times = read_times(tmp_path / "rows.csv", [f"{time},a" for time in local_times()])

    assert times == {"a": expected_times}


def test_each_sensor_has_its_own_order(tmp_path: Path) -> None:
    one_after_the_other = [f"{time},{name}" for name in "ab" for time in local_times()]
    side_by_side = [f"{time},{name}" for time in local_times() for name in "ab"]
    expected_times = [HALF_PAST_MIDNIGHT + step * HOUR // 2 for step in range(9)]

    for lines in (one_after_the_other, side_by_side):
        times = read_times(tmp_path / "rows.csv", lines)

        assert times == {"a": expected_times, "b": expected_times}


def test_a_time_that_occurs_once_in_the_file_is_the_first_occurrence(tmp_path: Path) -> None:
    times = read_times(tmp_path / "rows.csv", ["2024-10-27 02:30:00,a", "2024-10-27 02:30:00,a"])

    assert times == {"a": [HALF_PAST_MIDNIGHT + 2 * HOUR] * 2}


def test_without_inference_or_repeated_hours_times_stay_as_they_are(tmp_path: Path) -> None:
    lines = [f"{time},a" for time in local_times()]

    first_times = read_times(tmp_path / "rows.csv", lines, a_schema(fold="first"))
    utc_times = read_times(tmp_path / "rows.csv", lines, a_schema(zone="UTC"))

    assert first_times["a"][3:7] == [HALF_PAST_MIDNIGHT + step * HOUR // 2 for step in (3, 4, 3, 4)]
    assert utc_times["a"][5] < utc_times["a"][4]


def test_a_time_that_the_clock_skips_is_rejected(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("time,x\n2024-03-31 01:59:00,1\n2024-03-31 02:30:00,2\n2024-03-31 03:00:00,3\n")

    readings, rejections = join_batches(read_batches(path, a_schema()), a_schema())

    assert readings.event_time[1] - readings.event_time[0] == MINUTE
    assert [(rejection.index, rejection.reason) for rejection in rejections] == [
        (1, Reason.BAD_TIMESTAMP)
    ]
