"""Episodes of a group that overlap in time form an incident."""

from collections.abc import Iterable

from sensorwatch.common.alarms.episode_book import EpisodeBook
from sensorwatch.common.alarms.episode_states import EpisodeState
from sensorwatch.common.alarms.events import AnyEvent
from sensorwatch.common.alarms.incidents import incidents_of
from tests.alarms.event_builders import an_alarm, an_end


def episodes_of(events: Iterable[AnyEvent]) -> list[EpisodeState]:
    book = EpisodeBook()
    for event in events:
        book.add(event)
    return list(book.episodes())


def a_past_episode(
    episode_id: str, begin: int, end: int, sensor: str, group: str
) -> list[AnyEvent]:
    return [
        an_alarm(episode_id, begin, sensor=sensor, group=group),
        an_end(episode_id, end + 1, sensor=sensor, group=group),
    ]


def test_episodes_of_a_group_that_overlap_are_one_incident() -> None:
    events = [
        *a_past_episode("sensors-1-5", 3, 9, "pump-2", "line"),
        *a_past_episode("sensors-0-1", 0, 5, "pump-1", "line"),
        an_alarm("sensors-2-7", 9, sensor="pump-3", group="line", severity="critical"),
    ]

    (incident,) = incidents_of(episodes_of(events))

    assert incident.id == "sensors-0-1"
    assert incident.sensor_ids == ("pump-1", "pump-2", "pump-3")
    assert (incident.severity, incident.end) == ("critical", None)
    assert incident.message == "pump-3: x1 is high in row 1; 2 more sensors of line"


def test_an_incident_ends_with_its_last_episode_and_the_next_one_is_another() -> None:
    events = [
        *a_past_episode("sensors-0-1", 0, 8, "pump-1", "line"),
        *a_past_episode("sensors-0-2", 2, 4, "pump-2", "line"),
        *a_past_episode("sensors-0-3", 9, 12, "pump-1", "line"),
    ]

    first, second = incidents_of(episodes_of(events))

    assert [episode.id for episode in first.episodes] == ["sensors-0-1", "sensors-0-2"]
    assert first.end == episodes_of(events)[0].end
    assert second.id == "sensors-0-3"


def test_other_groups_and_sensors_without_a_group_are_separate_incidents() -> None:
    events = [
        an_alarm("sensors-0-1", 0, sensor="pump-1", group="line"),
        an_alarm("sensors-0-2", 0, sensor="pump-2", group="hall"),
        an_alarm("sensors-0-3", 0, sensor="pump-3"),
        an_alarm("sensors-0-4", 0, sensor="pump-4"),
    ]

    incidents = incidents_of(episodes_of(events))

    assert [incident.sensor_ids for incident in incidents] == [
        ("pump-1",),
        ("pump-2",),
        ("pump-3",),
        ("pump-4",),
    ]
    assert incidents[2].message == "pump-3: x1 is high in row 1"


def test_an_episode_that_begins_more_than_a_day_later_does_not_join() -> None:
    events = [
        an_alarm("sensors-0-1", 0, sensor="pump-1", group="line"),
        an_alarm("sensors-0-2", 1440, sensor="pump-2", group="line"),
        an_alarm("sensors-0-3", 1441, sensor="pump-3", group="line"),
    ]

    incidents = incidents_of(episodes_of(events))

    assert [incident.sensor_ids for incident in incidents] == [("pump-1", "pump-2"), ("pump-3",)]
