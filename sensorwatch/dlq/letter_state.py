"""Decides whether a dead letter can be replayed."""

from dataclasses import dataclass
from enum import StrEnum

from sensorwatch.dlq.letters import DeadLetter
from sensorwatch.dlq.replay_log import ReplayLog


class LetterState(StrEnum):
    """What a replay does with a dead letter."""

    WAITING = "waiting"
    """It is replayed."""
    REPLAYED = "replayed"
    """An earlier replay sent it."""
    QUARANTINED = "quarantined"
    """It was rejected again after the largest number of replays."""
    PARTIAL = "partial"
    """Other rows of the record were scored, and a replay would score them again."""
    TRUNCATED = "truncated"
    """The dead letter does not have all bytes of the record."""


@dataclass(frozen=True, slots=True)
class ReplayRules:
    """The limits of a replay."""

    max_attempts: int
    include_partial: bool = False
    has_fix: bool = False
    """Whether a program writes a new value. It can restore a value that was cut."""


def letter_state(letter: DeadLetter, log: ReplayLog, rules: ReplayRules) -> LetterState:
    """Return the state of a dead letter."""
    if log.entry(letter) is not None:
        return LetterState.REPLAYED
    if letter.attempts >= rules.max_attempts:
        return LetterState.QUARANTINED
    if _lacks_bytes(letter, rules):
        return LetterState.TRUNCATED
    if letter.rejected_rows and not rules.include_partial:
        return LetterState.PARTIAL
    return LetterState.WAITING


def _lacks_bytes(letter: DeadLetter, rules: ReplayRules) -> bool:
    if letter.headers is None:
        return True
    cut_parts = {part.split()[0] for part in letter.truncated.split(",") if part.strip()}
    return bool(cut_parts - {"value"} if rules.has_fix else cut_parts)
