"""Violations that the checker reports."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

_MAX_DETAILS = 5


class ViolationKind(StrEnum):
    """The kind of a violation."""

    LOST_OUTCOME = "lost"
    """A record below the committed offset has no outcome."""
    DOUBLED_OUTCOME = "doubled"
    """A record has more than one outcome."""
    REORDERED_OUTCOME = "reordered"
    """The outcomes of an input partition are not in the order of its records."""
    CHANGED_OUTCOME = "changed"
    """An outcome differs from the result of scoring the record again."""
    UNEXPECTED_OUTCOME = "unexpected"
    """A published outcome is not of the expected kind, or its input record does not exist."""
    UNCOMMITTED_OUTCOME = "uncommitted"
    """A record at or above the committed offset has an outcome."""
    ABORTED_RECORD = "phantom"
    """A reader read an aborted record during the run."""
    SKIPPED_RECORD = "missed"
    """A reader skipped a committed record during the run."""
    WRONG_OFFSET = "offset"
    """The committed offset is not directly after a record, or not the required offset."""
    WRONG_ACCOUNT = "account"
    """An account is missing, or has counts that are wrong or do not add up."""
    WRONG_DIGEST = "digest"
    """The digest of an account differs from the digest after scoring its records again."""
    OPEN_TRANSACTION = "hanging"
    """A transaction is still open and blocks every read_committed reader."""


@dataclass(frozen=True, slots=True)
class Violation:
    """A violation; `detail` has the actual and the expected value."""

    kind: ViolationKind
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail}"


def violation_report(violations: Sequence[Violation]) -> str:
    """Return a text with the number and the first few violations of each kind."""
    details_by_kind: dict[ViolationKind, list[str]] = defaultdict(list)
    for violation in violations:
        details_by_kind[violation.kind].append(violation.detail)
    lines = []
    for kind, details in details_by_kind.items():
        lines.append(f"{kind} ({len(details)})")
        lines += [f"  {detail}" for detail in details[:_MAX_DETAILS]]
    return "\n".join(lines) or "no violations"
