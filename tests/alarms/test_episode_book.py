"""The book has the newest state of each episode."""

from datetime import UTC, datetime

import pytest

from sensorwatch.common.alarms.episode_book import EpisodeBook
from sensorwatch.common.alarms.episode_states import MAX_STEPS
from sensorwatch.common.alarms.events import AnyEvent, BackEvent, SilentEvent, StaleEvent
from tests.alarms.event_builders import a_time, an_acceptance, an_alarm, an_end


def test_an_episode_opens_rises_is_accepted_and_closes() -> None:
    book = EpisodeBook()

    opened = book.add(an_alarm(minute=0))
    assert opened is not None
    assert (opened.severity, opened.is_open, opened.message) == (
        "warning",
        True,
        "x1 is high in row 1",
    )
    raised = book.add(an_alarm(minute=1, rows=2, severity="critical", news="severity"))
    assert raised is not None
    assert (raised.severity, raised.rows, raised.peak) == ("critical", 2, 1.2)
    accepted = book.add(an_acceptance())
    assert accepted is not None
    assert accepted.is_accepted
    assert accepted.severity == "critical"
    assert [episode.id for episode in book.open_episodes()] == ["sensors-0-1"]

    closed = book.add(an_end(severity="critical"))

    assert closed is not None
    assert closed.end == datetime(2025, 1, 1, 0, 9, tzinfo=UTC)
    assert (closed.rows, closed.peak) == (9, 3.0)
    assert closed.message == "x1 is high in row 2"
    assert [step.kind for step in closed.steps] == ["opened", "raised", "accepted", "closed"]
    assert list(book.open_episodes()) == []
    assert book.get("sensors-0-1") is closed


def test_events_that_are_read_again_change_nothing() -> None:
    book = EpisodeBook()
    events: list[AnyEvent] = [an_alarm(), an_alarm(minute=1, rows=2), an_end()]
    for event in events:
        assert book.add(event) is not None
    state = book.get("sensors-0-1")

    assert [book.add(event) for event in events] == [None, None, None]
    assert book.get("sensors-0-1") is state


@pytest.mark.parametrize("status", ["late", "duplicate"])
def test_an_episode_whose_end_is_not_published_is_closed_at_once(status: str) -> None:
    state = EpisodeBook().add(an_alarm(status=status))

    assert state is not None
    assert not state.is_open
    assert state.end == state.begin


def test_a_book_that_starts_in_the_middle_knows_the_begin() -> None:
    book = EpisodeBook()
    state = book.add(an_alarm(minute=5, rows=6, start_minute=0))

    assert state is not None
    assert state.begin == datetime(2025, 1, 1, tzinfo=UTC)
    closed = EpisodeBook().add(an_end())
    assert closed is not None
    assert (closed.begin, closed.severity) == (datetime(2025, 1, 1, tzinfo=UTC), "warning")


def test_the_book_drops_closed_episodes_first_and_counts_dropped_open_ones() -> None:
    book = EpisodeBook(max_episodes=2)
    book.add(an_alarm("sensors-0-1"))
    book.add(an_end("sensors-0-1"))
    book.add(an_alarm("sensors-0-2"))
    book.add(an_alarm("sensors-0-3"))
    assert [episode.id for episode in book.episodes()] == ["sensors-0-2", "sensors-0-3"]
    assert book.dropped_count == 0

    book.add(an_alarm("sensors-0-4"))

    assert [episode.id for episode in book.open_episodes()] == ["sensors-0-3", "sensors-0-4"]
    assert book.dropped_count == 1


def test_the_steps_of_a_long_episode_are_limited() -> None:
    book = EpisodeBook()
    for number in range(1, 2 * MAX_STEPS):
        book.add(an_alarm(minute=number, rows=number, news="change" if number > 1 else ""))

    state = book.get("sensors-0-1")

    assert state is not None
    assert len(state.steps) == MAX_STEPS
    assert state.steps[0].kind == "opened"
    assert state.steps[-1].message == f"x1 is high in row {2 * MAX_STEPS - 1}"


def test_a_stale_model_is_not_an_episode() -> None:
    event = StaleEvent("sensors-0-9-stale", "", "2025-01-01T00:00:00Z", "the model is stale")
    assert EpisodeBook().add(event) is None


def test_raised_and_accepted_events_that_are_read_again_change_nothing() -> None:
    events: list[AnyEvent] = [
        an_alarm(minute=0),
        an_alarm(minute=1, rows=2, news="severity", severity="critical"),
        an_alarm(minute=5, rows=8),
        an_acceptance(minute=8),
    ]
    book = EpisodeBook()
    for event in events:
        book.add(event)
    state = book.get("sensors-0-1")

    assert [book.add(event) for event in events] == [None] * len(events)
    assert book.get("sensors-0-1") == state


def test_a_stored_state_continues_with_the_next_event() -> None:
    first_book, second_book = EpisodeBook(), EpisodeBook()
    state = first_book.add(an_alarm(minute=0, severity="critical"))
    assert state is not None
    second_book.restore(state)

    closed_state = second_book.add(an_end(minute=10, severity="critical"))

    assert closed_state is not None
    assert (closed_state.begin, closed_state.is_open) == (state.begin, False)
    second_book.forget(state.id)
    assert list(second_book.episodes()) == []


def test_a_silence_is_an_episode_that_ends_when_the_sensor_is_back() -> None:
    book = EpisodeBook()
    silent = SilentEvent(
        "sensors-0-9-silent-0", "pump-1", a_time(12), "critical", "pump-1 is silent", a_time(2)
    )
    back = BackEvent(
        "sensors-0-30-back", "pump-1", a_time(40), "critical", "pump-1 is back", silent.event_id
    )

    opened = book.add(silent)
    assert opened is not None
    assert (opened.pattern, opened.severity, opened.begin.minute) == ("silent", "critical", 2)
    assert book.add(silent) is None
    closed = book.add(back)

    assert closed is not None
    assert (closed.id, closed.is_open, closed.message) == (silent.event_id, False, "pump-1 is back")
    assert book.add(back) is None
    late_reader = EpisodeBook().add(back)
    assert late_reader is not None
    assert not late_reader.is_open
