"""The lanes keep the worst score of each sensor and time step, in bounded memory."""

from sensorwatch.api.page.lanes import LaneCell, Lanes
from sensorwatch.api.page.span_view import MAX_SENSORS, span_of


def test_the_worst_sensor_is_first() -> None:
    lanes = Lanes(60)
    lanes.add("a", 0, 9.0, "warning")
    lanes.add("b", 0, 2.0, "critical")
    lanes.add("c", 0, 9.5, "warning")

    assert [lane.sensor_id for lane in lanes.ranked(0, 60, 2)] == ["b", "c"]


def test_a_cell_keeps_the_worst_score_and_severity_of_its_time_step() -> None:
    lanes = Lanes(60)
    lanes.add("a", 5, 4.0, "major")
    lanes.add("a", 59, 1.5, "warning")
    lanes.add("a", 60, 1.0, "info")

    (lane,) = lanes.ranked(0, 100, 10)

    assert lane.cells == (LaneCell(0, 4.0, 3, 2), LaneCell(60, 1.0, 1, 1))
    assert (lane.worst.score, lane.severity, lane.alarms) == (4.0, "major", 3)


def test_an_episode_fills_the_time_steps_without_an_event() -> None:
    lanes = Lanes(60)
    lanes.add("a", 10, 2.0, "warning")
    lanes.add_span("a", 10, 130, 3.0, "major")

    (lane,) = lanes.ranked(0, 200, 10)

    assert [cell.begin for cell in lane.cells] == [0, 60, 120]
    assert (lane.worst.score, lane.alarms) == (3.0, 1)


def test_a_span_selects_the_time_steps_that_it_touches() -> None:
    lanes = Lanes(60)
    for seconds in (0, 60, 120, 180):
        lanes.add(f"at-{seconds}", seconds, 1.0, "info")

    selected = {lane.sensor_id for lane in lanes.ranked(70, 120, 10)}

    assert selected == {"at-60", "at-120"}


def test_the_oldest_time_step_is_dropped_if_there_are_too_many_cells() -> None:
    lanes = Lanes(60, max_cells=3)
    for number in range(5):
        lanes.add(f"s{number}", 60 * number, 1.0, "info")

    assert len(lanes) == 3
    assert {lane.sensor_id for lane in lanes.ranked(0, 600, 10)} == {"s2", "s3", "s4"}


def test_a_dropped_time_step_does_not_come_back() -> None:
    lanes = Lanes(60, max_cells=2)
    for number in range(3):
        lanes.add(f"s{number}", 60 * number, 1.0, "info")

    lanes.add("late", 0, 9.0, "critical")
    lanes.add_span("s2", 0, 130, 2.0, "major")

    (lane,) = lanes.ranked(0, 600, 10)
    assert lane.sensor_id == "s2"
    assert [cell.begin for cell in lane.cells] == [120]
    assert len(lanes) == 1


def test_time_steps_before_the_window_are_dropped() -> None:
    lanes = Lanes(60)
    lanes.add("old", 0, 1.0, "info")
    lanes.add("new", 600, 1.0, "info")

    lanes.drop_before(300)

    assert [lane.sensor_id for lane in lanes.ranked(0, 1_000, 10)] == ["new"]
    assert len(lanes) == 1


def test_a_span_is_limited_to_the_window() -> None:
    window = (1_000.0, 2_000.0)

    selected = span_of({"from": "1500", "to": "9e99", "limit": "100000"}, window)
    wrong = span_of({"from": "nan", "to": "x", "limit": "-3"}, window)
    reversed_span = span_of({"from": "1800", "to": "1200"}, window)

    assert (selected.begin, selected.end, selected.limit) == (1_500, 2_000, MAX_SENSORS)
    assert (wrong.begin, wrong.end, wrong.limit) == (1_000, 2_000, 1)
    assert (reversed_span.begin, reversed_span.end) == (1_800, 1_800)
