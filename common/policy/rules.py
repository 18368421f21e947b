"""The rules and calendar windows of a built policy."""

import hashlib
from enum import StrEnum
from math import inf

import msgspec

MAX_RULES = 50
"""Largest number of rules, windows and limits of silence of a policy."""
WINDOW_BIT, WAITING_BIT = 1, 2
"""Bits of a rule's number. WINDOW_BIT: it is the number of a window. WAITING_BIT: the rule
suppresses only because of `min_rows`."""
_HASH_BITS = 60


class Direction(StrEnum):
    """The direction of a deviation that is an alarm."""

    LOW = "low"
    HIGH = "high"
    BOTH = "both"


class WindowAction(StrEnum):
    """What a calendar window does with the alarms in it."""

    ANNOTATE = "annotate"
    """The events name the window."""
    SUPPRESS = "suppress"
    """The alarms get the severity `info`."""


class LimitSeverity(StrEnum):
    """The lowest severity of a row beyond a hard limit."""

    WARNING = "warning"
    MAJOR = "major"
    CRITICAL = "critical"


LIMIT_SEVERITIES = tuple(LimitSeverity)
"""Positions in this tuple are positions in `AlarmRates.budgets`."""


class Rule(msgspec.Struct, frozen=True, omit_defaults=True):
    """A rule: the conditions for an alarm of a signal, and the hard limits of the signal."""

    name: str
    sensor: str = "*"
    """Shell pattern of sensor ids."""
    signal: str = "*"
    """Name of the signal; `*` for every signal."""
    direction: Direction = Direction.BOTH
    min_deviation: float = 0.0
    """Smallest difference from the expected value, in the signal's unit."""
    min_relative_deviation: float = 0.0
    """Smallest difference from the expected value, as a share of the expected value."""
    low_limit: float | None = None
    high_limit: float | None = None
    severity: LimitSeverity = LimitSeverity.CRITICAL
    min_rows: int = 1
    """An episode becomes an alarm when it has this number of rows."""

    @property
    def key(self) -> int:
        """The number of this rule in the memory and in the ledger's digest."""
        return rule_key(self.name)

    @property
    def waiting_key(self) -> int:
        """The number of `min_rows` of this rule."""
        return self.key | WAITING_BIT

    @property
    def limits(self) -> tuple[float, float]:
        """The low and the high limit; infinite if there is none."""
        low = -inf if self.low_limit is None else self.low_limit
        return low, inf if self.high_limit is None else self.high_limit

    @property
    def has_limits(self) -> bool:
        """Whether the rule has a hard limit."""
        return self.low_limit is not None or self.high_limit is not None

    @property
    def judges_deviations(self) -> bool:
        """Whether the rule requires a direction or a size of a deviation."""
        return (
            self.direction is not Direction.BOTH
            or self.min_deviation > 0.0
            or self.min_relative_deviation > 0.0
        )


class Window(msgspec.Struct, frozen=True):
    """A calendar window: the times at which alarms of some sensors are expected."""

    name: str
    sensor: str
    """Shell pattern of sensor ids."""
    action: WindowAction
    intervals: tuple[tuple[int, int], ...]
    """Begin and end (exclusive) of each interval, microseconds UTC; ascending and disjoint."""

    @property
    def key(self) -> int:
        """The number of this window in the memory and in the ledger's digest."""
        return rule_key(self.name) | WINDOW_BIT


class SilenceLimit(msgspec.Struct, frozen=True):
    """When some sensors count as silent."""

    name: str
    sensor: str
    """Shell pattern of sensor ids."""
    after_seconds: int
    """A sensor without rows for longer than this is silent; with 0, it is never silent."""


def rule_key(name: str) -> int:
    """Return the number of a rule, at least 4 and below 2**62; WINDOW_BIT and WAITING_BIT are 0.

    It depends only on the name, so a number in the memory keeps its meaning if the policy changes.
    """
    digest = int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")
    return ((digest % 2**_HASH_BITS) or 1) << 2
