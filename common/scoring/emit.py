"""Which rows of an episode are told."""

from enum import StrEnum


class Emit(StrEnum):
    """What is published of an episode, besides its end; what is counted does not depend on it."""

    ROWS = "rows"
    """Every anomalous row."""
    EPISODES = "episodes"
    """Its first row only; a late or duplicate row is an episode of its own."""
