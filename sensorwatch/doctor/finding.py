"""The result of one check."""

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found, and what to do."""

    check: str
    status: Status
    text: str
    remedy: str = ""
    """What to do; empty if there is nothing to do, or if the text says it."""


def ok(check: str, text: str) -> Finding:
    """Return the finding of a check without a problem."""
    return Finding(check, Status.OK, text)


def warning(check: str, text: str, remedy: str = "") -> Finding:
    """Return a finding that does not prevent sensorwatch from working."""
    return Finding(check, Status.WARNING, text, remedy)


def failed(check: str, text: str, remedy: str = "") -> Finding:
    """Return a finding that must be corrected."""
    return Finding(check, Status.FAILED, text, remedy)


def skipped(check: str, text: str) -> Finding:
    """Return the finding of a check that was not possible."""
    return Finding(check, Status.SKIPPED, text)
