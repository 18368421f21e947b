"""One question that an evaluation answers with yes or no."""

from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Check:
    """What was wanted, what was observed, and whether that is good enough."""

    name: str
    """`group.question`; what the gate says when it fails."""
    passed: bool
    observed: str
    wanted: str

    def to_plain(self) -> dict[str, Any]:
        """Return the check as plain values for the report."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Section:
    """A part of the report: its checks, and the figures that they were judged by."""

    checks: tuple[Check, ...]
    figures: Any
    """Plain JSON values."""
