"""One way in which a history breaks a promise."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_SHOWN = 5


class ViolationKind(StrEnum):
    """Which promise is broken."""

    LOST = "lost"
    """A record below the committed offset has no outcome."""
    DOUBLED = "doubled"
    """A record has more than one outcome."""
    REORDERED = "reordered"
    """Outcomes of one input partition stand in another order than their records."""
    CHANGED = "changed"
    """An outcome is not, byte for byte, what scoring the record again gives."""
    UNEXPECTED = "unexpected"
    """An outcome of a record that should have ended otherwise, or that does not exist."""
    UNCOMMITTED = "uncommitted"
    """An outcome of a record that is not below the committed offset: it will come again."""
    PHANTOM = "phantom"
    """A reader got during the run what is not there afterwards: it was aborted."""
    MISSED = "missed"
    """A reader passed over a record that is there afterwards."""
    OFFSET = "offset"
    """The committed offset is not the last processed one plus one, or not as far as it must be."""
    ACCOUNT = "account"
    """The ledger has no account, or one that does not add up or counts otherwise than we do."""
    DIGEST = "digest"
    """The ledger's digest is not that of the records scored again."""
    HANGING = "hanging"
    """A transaction is still open and stalls every read_committed reader."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken promise, with what was found and what was wanted."""

    kind: ViolationKind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def report(violations: Sequence[Violation]) -> str:
    """Say how many violations of each kind there are, with the first few of each."""
    by_kind: dict[ViolationKind, list[str]] = defaultdict(list)
    for violation in violations:
        by_kind[violation.kind].append(violation.detail)
    lines = []
    for kind, details in by_kind.items():
        lines.append(f"{kind} ({len(details)})")
        lines += [f"  {detail}" for detail in details[:_SHOWN]]
    return "\n".join(lines) or "no violations"
