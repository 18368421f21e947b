"""A browser gets only the changed cells of the worst sensors, once a second."""

from typing import Any

from sensorwatch.api.page.lane_feed import LaneFeed
from sensorwatch.api.page.page_feed import PageFeed
from sensorwatch.api.page.page_state import PageState
from sensorwatch.api.page.page_templates import render
from tests.alarms.event_builders import an_alarm
from tests.page.page_builders import HOSTILE_NAME, a_state, seconds_of
from tests.page.score_builders import a_record, a_row


def scored_state(*sensors: str) -> PageState:
    """Return a state with one scored row of each sensor at minute 0; the first one is the worst."""
    state = a_state()
    rows = [a_row(name, seconds_of(0), score=9.0 - place) for place, name in enumerate(sensors)]
    state.scores.history.add([a_record(*rows)])
    return state


def changed_cells(lanes: dict[str, Any] | None) -> dict[str, list[list[float]]]:
    assert lanes is not None
    return {lane["sensor"]: lane["cells"] for lane in lanes["lanes"]}


def test_a_delta_has_only_the_cells_that_changed() -> None:
    state, minute_1 = scored_state("a", "b"), seconds_of(1)
    feed = PageFeed(state, dict)
    first = feed.delta_since("")
    feed._lane_feed._ranked_at = -float("inf")
    state.scores.history.add([a_record(a_row("a", minute_1, score=12.3456, severity=3))])

    second = feed.delta_since(first.id)

    assert changed_cells(first.lanes) == {
        "a": [[seconds_of(0), 9.0, 0]],
        "b": [[seconds_of(0), 8.0, 0]],
    }
    assert changed_cells(second.lanes) == {"a": [[minute_1, 12.346, 3]], "b": []}
    assert second.id != first.id
    assert second.lanes is not None
    assert (second.lanes["end"], second.lanes["step"]) == (minute_1, 60)


def test_a_client_of_an_earlier_process_gets_all_cells() -> None:
    feed = PageFeed(scored_state("a"), dict)
    newest = feed.delta_since("")

    for known_id in ("0123abcd-7-7", f"{newest.id}9999999999999999", newest.id.rpartition("-")[0]):
        assert changed_cells(feed.delta_since(known_id).lanes) == changed_cells(newest.lanes)
    assert changed_cells(feed.delta_since(newest.id).lanes) == {"a": []}


def test_the_worst_sensors_are_selected_at_most_once_a_second() -> None:
    now = [0.0]
    state = scored_state("a")
    feed = LaneFeed(state, clock=lambda: now[0])
    feed.refresh()
    revision = feed.revision
    state.scores.history.add([a_record(a_row("new", seconds_of(0), score=20.0))])

    now[0] = 0.9
    feed.refresh()
    early_lanes, early_revision = changed_cells(feed.changes_since(-1)), feed.revision
    now[0] = 1.0
    feed.refresh()

    assert list(early_lanes) == ["a"]
    assert early_revision == revision
    assert list(changed_cells(feed.changes_since(-1))) == ["new", "a"]
    assert feed.revision > revision


def test_without_scores_the_lanes_show_the_alarms() -> None:
    state = a_state([an_alarm("e", 0, sensor="pump-1")])

    delta = PageFeed(state, dict).delta_since("")

    assert delta.lanes is None
    assert [lane.sensor_id for lane in state.lanes(*state.window, 10)] == ["pump-1"]


def test_the_page_says_why_the_lanes_show_only_alarms() -> None:
    state = a_state()

    def hint(*, is_switched_on: bool = True) -> str:
        return render(
            "lanes_hint.html",
            scores=state.scores,
            is_switched_on=is_switched_on,
            step_seconds=60,
            hours=12.0,
        )

    assert "<code>[consumer] scores</code> is false" in hint(is_switched_on=False)
    state.scores.connect()
    assert "Reading the scores" in hint()
    state.scores.complete()
    assert "no worker has written scores" in hint()
    state.scores.disconnect(HOSTILE_NAME)
    assert "shows only alarms" in hint()
    assert "&lt;img" in hint()
    state.scores.history.add([a_record(a_row())])
    assert "No new scores arrive" in hint()
    state.scores.connect()
    assert not state.scores.has_rows
