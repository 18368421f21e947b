"""Counts dead letters by reason, with examples."""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sensorwatch.dlq.letter_state import LetterState
from sensorwatch.dlq.letters import DeadLetter

MAX_EXAMPLES = 3


@dataclass(slots=True)
class ReasonSummary:
    """The dead letters with one reason."""

    reason: str
    states: Counter[LetterState] = field(default_factory=Counter)
    oldest: int | None = None
    """Time of the earliest rejection, in microseconds UTC; None if no letter has a time."""
    newest: int | None = None
    examples: list[DeadLetter] = field(default_factory=list)
    """The first letters with different messages."""

    @property
    def count(self) -> int:
        """The number of dead letters."""
        return self.states.total()

    def add(self, letter: DeadLetter, state: LetterState) -> None:
        """Count a dead letter."""
        self.states[state] += 1
        if letter.rejected_at is not None:
            self.oldest = min(self.oldest or letter.rejected_at, letter.rejected_at)
            self.newest = max(self.newest or letter.rejected_at, letter.rejected_at)
        is_new = letter.message not in (example.message for example in self.examples)
        if len(self.examples) < MAX_EXAMPLES and is_new:
            self.examples.append(letter)


def summarize_reasons(
    letters: Iterable[DeadLetter], state_of: Callable[[DeadLetter], LetterState]
) -> list[ReasonSummary]:
    """Return the summary of each reason, the most frequent reason first."""
    summaries: dict[str, ReasonSummary] = {}
    for letter in letters:
        summary = summaries.setdefault(letter.reason, ReasonSummary(letter.reason))
        summary.add(letter, state_of(letter))
    return sorted(summaries.values(), key=lambda summary: (-summary.count, summary.reason))
