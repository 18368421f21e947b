"""The summary of rows counts late and duplicate rows, and warns about likely mistakes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.rows.readings import Readings, build_readings
from sensorwatch.common.rows.row_summary import (
    RowOrderUse,
    RowSummaryBuilder,
    held_lines,
    summarize,
    summary_lines,
    summary_warnings,
)
from sensorwatch.common.rows.schema import schema_from_plain

SCHEMA = schema_from_plain({"key": {"field": "id"}, "signals": [{"name": "x"}]})
SECOND, MIDNIGHT = 1_000_000, 1_735_689_600_000_000


def rows_of(*rows: tuple[str, int]) -> Readings:
    """Return readings of sensors and times in microseconds."""
    return build_readings(
        index=range(len(rows)),
        event_time=[time for _, time in rows],
        sensor_ids=[sensor_id for sensor_id, _ in rows],
        values=[[0.0]] * len(rows),
        signals=1,
    )


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 6)), max_size=30),
    st.integers(0, 30),
)
def test_late_and_duplicate_rows_are_counted_in_batches_of_any_size(
    rows: list[tuple[str, int]], cut: int
) -> None:
    newest_time: dict[str, int] = {}
    late = duplicate = 0
    for sensor_id, time in rows:
        late += time < newest_time.get(sensor_id, -1)
        duplicate += time == newest_time.get(sensor_id)
        newest_time[sensor_id] = max(time, newest_time.get(sensor_id, -1))
    builder = RowSummaryBuilder()

    builder.add(rows_of(*rows[:cut]))
    builder.add(rows_of(*rows[cut:]))

    summary = builder.summary()
    assert (summary.rows, summary.late, summary.duplicate) == (len(rows), late, duplicate)
    counts = sorted([sensor_id for sensor_id, _ in rows].count(name) for name in newest_time)
    assert summary.rows_per_sensor.tolist() == counts
    if rows:
        times = [time for _, time in rows]
        assert (summary.first_time, summary.last_time) == (min(times), max(times))


def test_the_lines_tell_time_range_and_sensors() -> None:
    rows = rows_of(("a", MIDNIGHT), ("a", MIDNIGHT + SECOND), ("b", MIDNIGHT))

    assert list(summary_lines(summarize(rows))) == [
        "times      2025-01-01T00:00:00Z to 2025-01-01T00:00:01Z",
        "sensors    2, with 1 to 2 rows each, median 1.5",
    ]


@pytest.mark.parametrize(
    ("rows", "warning"),
    [
        ([("a", MIDNIGHT + second * SECOND) for second in range(10)], None),
        ([("a", second * SECOND) for second in range(10)], "before the year 2000"),
        ([("a", MIDNIGHT - second * SECOND) for second in range(10)], "90% of the rows are older"),
        ([("a", MIDNIGHT + second // 5) for second in range(10)], "80% of the rows have the same"),
        ([(f"m{second}", MIDNIGHT + second) for second in range(10)], "the id of a message"),
        ([], None),
    ],
)
def test_a_likely_mistake_is_told_with_its_remedy(
    rows: list[tuple[str, int]], warning: str | None
) -> None:
    warnings = list(summary_warnings(summarize(rows_of(*rows)), SCHEMA))

    assert len(warnings) == (warning is not None)
    assert all(warning is not None and warning in text for text in warnings)


def test_rows_that_training_sorts_are_not_said_to_be_scored_in_their_order() -> None:
    rows = rows_of(*(("a", MIDNIGHT - second * SECOND) for second in range(10)))

    (warning,) = summary_warnings(summarize(rows), SCHEMA, RowOrderUse.SORTS_BY_TIME)

    assert "`train` and `evaluate` sort the rows by time" in warning
    assert "so they are scored without memory" not in warning


def test_rows_of_many_sensors_are_summarized_at_once() -> None:
    sensors = 50_000
    builder = RowSummaryBuilder()
    for _ in range(2):
        builder.add(rows_of(*((f"s{number}", MIDNIGHT) for number in range(sensors))))

    summary = builder.summary()

    assert summary.duplicate == sensors
    assert np.all(summary.rows_per_sensor == 2)


def test_the_share_of_held_values_is_counted_in_batches_and_a_missing_signal_is_named() -> None:
    schema = schema_from_plain(
        {"signals": [{"name": name, "missing": "hold_last"} for name in ("x", "y", "z")]}
    )
    nan = float("nan")
    builder = RowSummaryBuilder()
    for values in ([1.0, nan, 2.0], [nan, nan, 2.0], [3.0, nan, 2.0], [4.0, nan, 2.0]):
        rows = build_readings(
            index=[0], event_time=[MIDNIGHT], sensor_ids=["a"], values=[values], signals=3
        )
        builder.add(rows)
    summary = builder.summary()

    assert list(held_lines(summary, schema)) == [
        "held       'y' in 100.0%, 'x' in 25.0% of rows: the last value is used"
    ]
    warnings = [warning for warning in summary_warnings(summary, schema) if "no row" in warning]
    assert warnings == ["no row has a value of 'y': check whether its field has another name"]
