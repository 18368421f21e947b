"""The learned part of a policy: what verdicts of people added to its rules and windows."""

import msgspec

from sensorwatch.common.policy.rules import Direction, Window, rule_key

MAX_LEARNED = 200
"""Largest number of learned suppressions and planned windows of a policy."""
LEARNED_PREFIX = "verdict:"
"""The name of a learned suppression or planned window begins with this text, which the name of a
rule in a policy file cannot contain."""

MAX_NAME = 64
"""Largest number of characters of a name in events."""
SIGNS = {Direction.HIGH: 1.0, Direction.LOW: -1.0}
"""The sign of a deviation in each direction."""


class LearnedSignal(msgspec.Struct, frozen=True):
    """The excursions of one signal that a learned suppression covers."""

    name: str
    direction: Direction
    min_start: float
    """The first row of an similar excursion deviates by at least this in the direction, in the
    signal's unit; 0 if the first row need not deviate."""
    max_deviation: float
    """No row of an similar excursion deviates by more than this, in the signal's unit."""


class LearnedSuppression(msgspec.Struct, frozen=True):
    """Suppresses the excursions that are alike to the excursion of a judged episode."""

    episode_id: str
    """The judged episode."""
    verdict: str
    """`false` or `expected`."""
    sensor: str
    """The sensor; empty if the suppression covers a group."""
    group: str
    """The group of sensors; empty if the suppression covers one sensor."""
    signals: tuple[LearnedSignal, ...]
    """The signals that may be unusual; the leading signal of the judged episode is first."""
    patterns: tuple[str, ...]
    """The patterns that the episode may have."""
    max_rows: int | None
    """Largest number of rows; None if the judged episode was still open."""
    expires: int
    """Rows at or after this event time are not suppressed, microseconds UTC."""

    @property
    def name(self) -> str:
        """The name in events."""
        return learned_name(self.episode_id)

    @property
    def key(self) -> int:
        """The number in the memory and in the ledger's digest."""
        return rule_key(self.name)


class LearnedPart(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything that a policy has from verdicts."""

    suppressions: tuple[LearnedSuppression, ...] = ()
    windows: tuple[Window, ...] = ()
    """The planned windows, named like suppressions."""

    def __len__(self) -> int:
        return len(self.suppressions) + len(self.windows)

    def without(self, episode_id: str) -> "LearnedPart":
        """Return this part without the entries of an episode."""
        name = learned_name(episode_id)
        return LearnedPart(
            tuple(entry for entry in self.suppressions if entry.name != name),
            tuple(window for window in self.windows if window.name != name),
        )

    def in_force(self, earliest: int) -> "LearnedPart":
        """Return the entries that end at or after `earliest`, microseconds UTC."""
        return LearnedPart(
            tuple(entry for entry in self.suppressions if entry.expires >= earliest),
            tuple(window for window in self.windows if window.intervals[-1][1] >= earliest),
        )


def learned_name(episode_id: str) -> str:
    """Return the name of everything that a policy learns from a verdict on an episode.

    It is `verdict:` and the id of the episode. Of a very long id, it has only the end, which
    contains the partition and the offset.
    """
    return LEARNED_PREFIX + episode_id[-(MAX_NAME - len(LEARNED_PREFIX)) :]
