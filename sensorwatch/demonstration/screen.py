"""What a screen is told while the demonstration runs."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sensorwatch.demonstration.figures import ServerFigures
from sensorwatch.demonstration.stage import Stage
from sensorwatch.event_line import Closing, Event


@dataclass(frozen=True, slots=True)
class State:
    """Everything that moves."""

    elapsed: float
    """Seconds since the first row."""
    seconds: float
    """How long it will run."""
    sent: int
    figures: ServerFigures
    reasons: Mapping[str, int]
    """Dead letters by reason code."""
    latest: Sequence[Event | Closing]
    """The newest events, the newest last."""


class Screen(Protocol):
    """Where a person, or a log, follows the demonstration."""

    every_seconds: float
    """How often it wants to be told."""

    def step(self, text: str) -> None:
        """Say what is being started or ended."""

    def print(self, text: str, style: str) -> None:
        """Write a line that stays; `style`: rich's, where there are styles."""

    def show_addresses(self, stage: Stage) -> None:
        """Say where to point one's own clients."""

    def live(self) -> AbstractContextManager[object]:
        """Enclose the time in which `update` is called."""

    def update(self, state: State) -> None:
        """Show the newest state."""
