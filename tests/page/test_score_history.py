"""The records of the scores topic are folded into time steps, in bounded memory."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.api.page.lanes import LaneCell
from sensorwatch.api.page.score_cells import LANE_BYTES, SIGNAL_BYTES
from sensorwatch.api.page.score_history import (
    MAX_LANE_CELLS,
    MAX_SIGNAL_CELLS,
    ReceivedScores,
    ScoreHistory,
)
from sensorwatch.api.page.time_grid import Columns
from sensorwatch.common.scoring.score_aggregates import ScoreAggregates
from tests.page.score_builders import a_record, a_row

HOURS_12 = 12 * 3_600


def a_history(*records: ReceivedScores, window: int = 600, **limits: int) -> ScoreHistory:
    history = ScoreHistory(window, 60, **limits)
    history.add(records)
    return history


def many_sensors(count: int, seconds: int) -> ReceivedScores:
    """Return a record with one row of each of `count` sensors; sensor n has the score n."""
    ones, times = np.ones(count, np.int32), np.full(count, seconds * 1_000_000, np.int64)
    sensor_columns: Columns = {
        "rows": ones,
        "anomalous_rows": 0 * ones,
        "severity": 0 * ones,
        "worst_score": np.arange(count, dtype=np.float32),
    } | dict.fromkeys(("first_time", "last_time", "worst_time"), times)
    offsets: Columns = dict.fromkeys(("first_offset", "last_offset"), 0 * times)
    numbers = np.ones((count, 3), np.float32)
    names = ("minimum", "maximum", "mean", "expected", "expected_low", "expected_high")
    signal_columns: Columns = dict.fromkeys(names, numbers) | {
        "values": np.ones((count, 3), np.int32)
    }
    ids = tuple(f"sensor-{number}" for number in range(count))
    columns: Columns = {**sensor_columns, **offsets, **signal_columns}
    return ReceivedScores(ScoreAggregates(("x1", "x2", "x3"), ids, **columns), seconds)


def test_a_lane_has_the_worst_score_of_each_time_step() -> None:
    history = a_history(
        a_record(a_row(score=0.4), a_row("b", score=9.0)),
        a_record(a_row(seconds=59, score=2.5, severity=3), a_row(seconds=30, score=1.5)),
        a_record(a_row(seconds=60, score=-0.25)),
    )

    worst, other = history.ranked(0, 100, 10)

    assert worst.sensor_id == "a"
    assert worst.cells == (LaneCell(0, 2.5, 3, 1), LaneCell(60, -0.25, 0, 0))
    assert (other.sensor_id, other.worst.score, other.severity) == ("b", 9.0, "none")
    assert [lane.sensor_id for lane in history.ranked(60, 100, 10)] == ["a"]
    assert [lane.sensor_id for lane in history.ranked(0, 100, 1)] == ["a"]


def test_a_worst_score_belongs_to_its_own_time_step() -> None:
    history = a_history(a_record(a_row(seconds=10, score=3.0), a_row(seconds=200)))

    assert [cell.begin for cell in history.ranked(0, 200, 1)[0].cells] == [0]


def test_a_signal_has_the_numbers_of_all_rows_of_a_time_step() -> None:
    history = a_history(
        a_record(a_row(value=1.0), a_row(value=2.0), a_row(value=6.0)),
        a_record(a_row(seconds=30, value=11.0, band=(6.0, 5.0, 7.0))),
        a_record(a_row(seconds=70, value=float("nan"))),
    )

    (signal,) = history.signals_of("a")

    assert (signal.name, signal.begins.tolist()) == ("flow", [0])
    numbers = {name: column.tolist() for name, column in signal.columns.items()}
    assert numbers == {
        "values": [4],
        "rows": [4],
        "minimum": [1.0],
        "maximum": [11.0],
        "mean": [5.0],
        "expected": [3.0],
        "expected_low": [2.0],
        "expected_high": [4.0],
    }
    assert history.signals_of("unknown") == []


def test_rows_before_the_window_are_left_out() -> None:
    history = a_history(a_record(a_row("new", 10_000)), a_record(a_row("old", 60)))

    assert [lane.sensor_id for lane in history.ranked(0, 20_000, 10)] == ["new"]


def test_a_row_from_the_future_is_left_out() -> None:
    history = ScoreHistory(600, 60)

    history.add([ReceivedScores(a_record(a_row(seconds=1_000)).aggregates, written_at=100)])

    assert history.newest_time is None
    assert history.ranked(0, 2_000, 10) == []


def test_a_client_gets_only_the_time_steps_that_changed() -> None:
    history = a_history(a_record(a_row(), a_row("b")), a_record(a_row(seconds=60)))
    revision = history.revision

    history.add([a_record(a_row(seconds=61, score=4.0))])

    lanes = history.changed_lanes(["a", "b", "unknown"], revision)
    assert [(lane.sensor_id, lane.cells) for lane in lanes] == [
        ("a", (LaneCell(60, 4.0, 0, 0),)),
        ("b", ()),
        ("unknown", ()),
    ]
    assert history.changed_lanes(["a"], history.revision)[0].cells == ()


def test_a_new_signal_starts_without_history() -> None:
    history = a_history(a_record(a_row()), a_record(a_row(seconds=60), signal="level"))
    history.add([a_record(a_row(seconds=120))])

    signals = {signal.name: signal.begins.tolist() for signal in history.signals_of("a")}

    assert signals == {"level": [60], "flow": [120]}


def test_sensors_without_rows_in_the_window_give_space_to_others() -> None:
    history = a_history(*(a_record(a_row(f"s{n}", n * 100)) for n in range(50)), max_sensors=20)

    assert history.sensor_count <= 20
    assert not history.is_full
    assert history.ranked(4_860, 4_900, 1)[0].sensor_id == "s49"
    assert {lane.sensor_id for lane in history.ranked(0, 5_000, 50)} >= {"s47", "s48", "s49"}


def test_sensors_without_space_are_reported() -> None:
    history = a_history(a_record(*(a_row(f"s{n}") for n in range(30))), max_sensors=20)

    assert history.is_full
    assert len(history.ranked(0, 60, 50)) == 20


@pytest.mark.parametrize(("sensors", "step_minutes"), [(5_000, 1), (100_000, 8)])
def test_memory_is_bounded_by_longer_time_steps(sensors: int, step_minutes: int) -> None:
    history = ScoreHistory(HOURS_12, 60)

    for minute in (0, 1, 360, 700):
        history.add([many_sensors(sensors, minute * 60)])

    assert history.step_seconds == step_minutes * 60
    assert history.byte_count <= MAX_LANE_CELLS * LANE_BYTES + MAX_SIGNAL_CELLS * SIGNAL_BYTES
    worst = history.ranked(0, HOURS_12, 3)
    assert [lane.sensor_id for lane in worst] == [f"sensor-{sensors - n}" for n in (1, 2, 3)]
    assert {cell.score for cell in worst[0].cells} == {sensors - 1}
    (x1, _, _) = history.signals_of("sensor-7")
    assert x1.columns["rows"].sum() == 4


@settings(max_examples=30, deadline=None)
@given(
    rows=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 599), st.floats(-1, 9, width=16)),
        min_size=1,
        max_size=60,
    )
)
def test_longer_time_steps_contain_the_same_rows(rows: list[tuple[int, int, float]]) -> None:
    records = [
        a_record(a_row(f"s{sensor}", seconds, score=score, value=score))
        for sensor, seconds, score in sorted(rows, key=lambda row: row[1])
    ]
    fine = a_history(*records)
    coarse = a_history(*records, max_lane_cells=99, max_signal_cells=99)
    # With more sensors, there is no space for the shorter time steps.
    coarse.add([a_record(*(a_row(f"new-{number}", 599) for number in range(11)))])

    assert coarse.step_seconds > fine.step_seconds
    for lane in fine.ranked(0, 600, 20):
        coarse_lane = coarse.lane_of(lane.sensor_id)
        assert coarse_lane is not None
        assert coarse_lane.worst.score == lane.worst.score
        for fine_signal, coarse_signal in zip(
            fine.signals_of(lane.sensor_id), coarse.signals_of(lane.sensor_id), strict=True
        ):
            _check_same_rows(fine_signal.columns, coarse_signal.columns)


def _check_same_rows(fine: Columns, coarse: Columns) -> None:
    assert coarse["values"].sum() == fine["values"].sum()
    assert coarse["minimum"].min() == fine["minimum"].min()
    assert coarse["maximum"].max() == fine["maximum"].max()
    means = [np.average(c["mean"], weights=c["values"]) for c in (fine, coarse)]
    assert means[0] == pytest.approx(means[1], abs=1e-5)
