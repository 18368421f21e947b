"""The state of the page follows the topic in bounded memory."""

import msgspec

from sensorwatch.api.page.page_state import ReceivedEvent
from sensorwatch.api.page.sensor_events import SensorEvents
from tests.alarms.event_builders import a_time, an_alarm, an_end
from tests.page.page_builders import a_state, received, seconds_of


def test_only_episodes_in_the_window_are_shown() -> None:
    state = a_state(
        [
            an_alarm("old", 0),
            an_end("old", 10),
            an_alarm("open", 0, sensor="pump-2"),
            an_alarm("new", 100, sensor="pump-3"),
        ],
        hours=1,
    )

    assert {episode.id for episode in state.episodes()} == {"open", "new"}
    assert state.window == (seconds_of(40), seconds_of(100))
    assert [lane.sensor_id for lane in state.lanes(*state.window, 10)] == ["pump-3"]


def test_an_event_from_the_future_does_not_move_the_window() -> None:
    state = a_state([an_alarm("one", 0)])
    future_event = msgspec.structs.replace(
        an_alarm("two", 1, sensor="pump-2"), event_time="2099-01-01T00:00:00Z"
    )

    state.add([ReceivedEvent(future_event, seconds_of(1))])

    assert state.window[1] == seconds_of(0)
    assert {episode.id for episode in state.episodes()} == {"one", "two"}


def test_a_new_connection_starts_with_an_empty_state() -> None:
    state = a_state([an_alarm("one", 0)])
    state.disconnect("no answer")
    episodes_while_disconnected = state.episodes()

    state.connect()

    assert [episode.id for episode in episodes_while_disconnected] == ["one"]
    assert state.episodes() == []
    assert state.events_of("pump-1") == []


def test_each_change_has_a_new_revision() -> None:
    state = a_state()
    revisions = [state.revision]
    state.add(received(an_alarm()))
    revisions.append(state.revision)
    state.disconnect("no answer")
    revisions.append(state.revision)
    state.connect()
    revisions.append(state.revision)
    state.complete()
    revisions.append(state.revision)

    assert revisions == sorted(set(revisions))


def test_the_newest_events_of_all_sensors_are_kept() -> None:
    events = SensorEvents(max_events=4, max_events_of_sensor=3)
    for number in range(5):
        events.add(an_alarm("a", number, sensor="a"))
    events.add(an_alarm("b", 5, sensor="b"))
    events.add(an_alarm("b", 6, sensor="b"))

    assert [event.event_time for event in events.of_sensor("a")] == [a_time(3), a_time(4)]
    assert [event.event_time for event in events.of_sensor("b")] == [a_time(5), a_time(6)]


def test_a_sensor_without_remembered_events_uses_no_memory() -> None:
    events = SensorEvents(max_events=10)
    for number in range(100):
        events.add(an_alarm("a", 0, sensor=f"s{number}"))

    assert len(events) == 10
    assert events.of_sensor("s0") == []
