"""Follows the episodes of the anomaly topic: the newest state of each episode."""

from collections.abc import Iterator

from sensorwatch.common.alarms.episode_states import EpisodeState, episode_id, next_state
from sensorwatch.common.alarms.events import AnyEvent

MAX_EPISODES = 20_000
"""The book remembers at most this number of episodes."""


class EpisodeBook:
    """Keeps the newest state of each episode, for at most `max_episodes` episodes.

    If there are more episodes, the closed episode without an event for the longest time is dropped
    first. If every episode is open, the open episode without an event for the longest time is
    dropped.
    """

    def __init__(self, max_episodes: int = MAX_EPISODES) -> None:
        self._max_episodes = max_episodes
        # Both mappings are in the order of the newest events.
        self._open: dict[str, EpisodeState] = {}
        self._closed: dict[str, EpisodeState] = {}
        self.dropped_count = 0
        """Number of open episodes that were dropped."""

    def add(self, event: AnyEvent) -> EpisodeState | None:
        """Add an event in the order of its partition. Return its episode if the episode changed.

        An event that was added before, and an event without an episode, change nothing.
        """
        state = next_state(self.state_of(event), event)
        if state is None:
            return None
        self._open.pop(state.id, None)
        (self._open if state.is_open else self._closed)[state.id] = state
        self._drop_oldest()
        return state

    def get(self, episode_id: str) -> EpisodeState | None:
        """Return the state of an episode, or None if the book does not have it."""
        return self._open.get(episode_id) or self._closed.get(episode_id)

    def state_of(self, event: AnyEvent) -> EpisodeState | None:
        """Return the state of the episode of an event, or None if the book does not have it."""
        return self.get(episode_id(event))

    def episodes(self) -> Iterator[EpisodeState]:
        """Yield all episodes: the closed ones, then the open ones."""
        yield from self._closed.values()
        yield from self._open.values()

    def open_episodes(self) -> Iterator[EpisodeState]:
        """Yield the open episodes, in the order of their newest events."""
        yield from self._open.values()

    def restore(self, state: EpisodeState) -> None:
        """Add the stored state of an episode, as the state after its newest event."""
        self.forget(state.id)
        (self._open if state.is_open else self._closed)[state.id] = state
        self._drop_oldest()

    def forget(self, episode_id: str) -> None:
        """Remove an episode if the book has it."""
        self._open.pop(episode_id, None)
        self._closed.pop(episode_id, None)

    def _drop_oldest(self) -> None:
        if len(self._open) + len(self._closed) <= self._max_episodes:
            return
        if self._closed:
            del self._closed[next(iter(self._closed))]
        else:
            del self._open[next(iter(self._open))]
            self.dropped_count += 1
