"""Violations that the checker reports."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_MAX_DETAILS = 5


class ViolationKind(StrEnum):
    """The kind of a violation."""

    LOST = "lost"
    """A record below the committed offset has no outcome."""
    DOUBLED = "doubled"
    """A record has more than one outcome."""
    REORDERED = "reordered"
    """Outcomes of one input partition are in another order than their records."""
    CHANGED = "changed"
    """An outcome differs from the result of scoring the record again."""
    UNEXPECTED = "unexpected"
    """An outcome is of another kind than expected, or its record does not exist."""
    UNCOMMITTED = "uncommitted"
    """A record that is not below the committed offset has an outcome."""
    PHANTOM = "phantom"
    """A reader read an aborted record during the run."""
    MISSED = "missed"
    """A reader skipped a committed record during the run."""
    OFFSET = "offset"
    """The committed offset is not a next offset or not the required offset."""
    ACCOUNT = "account"
    """An account is missing, does not add up or has wrong counts."""
    DIGEST = "digest"
    """The digest of the account differs from the digest of the records scored again."""
    HANGING = "hanging"
    """A transaction is still open and blocks every read_committed reader."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A violation with the actual and the expected value."""

    kind: ViolationKind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def report(violations: Sequence[Violation]) -> str:
    """Return a text with the number of violations and the first details of each kind."""
    details_by_kind: dict[ViolationKind, list[str]] = defaultdict(list)
    for violation in violations:
        details_by_kind[violation.kind].append(violation.detail)
    lines = []
    for kind, details in details_by_kind.items():
        lines.append(f"{kind} ({len(details)})")
        lines += [f"  {detail}" for detail in details[:_MAX_DETAILS]]
    return "\n".join(lines) or "no violations"
