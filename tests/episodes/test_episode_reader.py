"""One pass over the events finds an episode and its events."""

from collections.abc import Sequence

import pytest

from sensorwatch.common.alarms.events import AnyEvent
from sensorwatch.common.errors import UsageError
from sensorwatch.episodes.episode_search import EpisodeReader
from tests.alarms.event_builders import an_alarm, an_end

EVENTS: Sequence[AnyEvent] = (
    an_alarm("sensors-0-1", 0),
    an_alarm("sensors-0-12", 1, sensor="pump-2"),
    an_alarm("sensors-0-1", 2, rows=2),
    an_alarm("sensors-0-300", 3, sensor="pump-3"),
    an_end("sensors-0-1", 4),
)


def read(text: str, events: Sequence[AnyEvent] = EVENTS) -> EpisodeReader:
    reader = EpisodeReader(text)
    for event in events:
        reader.add(event)
    return reader


@pytest.mark.parametrize(
    ("text", "episode_id", "events"),
    [
        ("sensors-0-1", "sensors-0-1", [EVENTS[0], EVENTS[2], EVENTS[4]]),
        ("sensors-0-3", "sensors-0-300", [EVENTS[3]]),
        ("sensors-0-12", "sensors-0-12", [EVENTS[1]]),
    ],
)
def test_the_events_of_an_episode_are_kept(
    text: str, episode_id: str, events: list[AnyEvent]
) -> None:
    reader = read(text)

    episode = reader.find()

    assert episode.id == episode_id
    assert reader.events(episode) == events


@pytest.mark.parametrize("event", [EVENTS[2], EVENTS[4]])
def test_an_event_identifies_its_episode(event: AnyEvent) -> None:
    reader = read(event.event_id)

    assert reader.find().id == "sensors-0-1"


def test_the_events_before_the_identifying_event_are_not_kept() -> None:
    reader = read("sensors-0-1-row-2")

    assert reader.events(reader.find()) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [("sensors-0", "3 episodes have an id that begins with"), ("pump", "no episode with the id")],
)
def test_an_ambiguous_or_unknown_text_is_refused(text: str, problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        read(text).find()


def test_only_the_events_of_possible_episodes_are_in_memory() -> None:
    events = [an_alarm(f"sensors-0-{number}", number) for number in range(100, 200)]

    reader = read("sensors-0-1", [*EVENTS, *events])

    assert set(reader._events) == {"sensors-0-1", "sensors-0-12"}
