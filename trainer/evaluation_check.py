"""The checks of an evaluation report, and the gate that requires all of them to pass."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from sensorwatch.common.errors import CheckFailed


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the report: the observed value, the wanted value, and the result."""

    name: str
    """Name in the form `section.check`. `evaluate --gate` prints the name if the check fails."""
    passed: bool
    observed: str
    wanted: str

    def to_plain(self) -> dict[str, Any]:
        """Return the check as plain values for the report."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Section:
    """One section of the report: its checks, and the measurements that the checks use."""

    checks: tuple[Check, ...]
    figures: Any
    """The measurements as plain JSON values."""


def failed_checks(report: Mapping[str, Any]) -> list[str]:
    """Return the names of the failed checks of a report."""
    return [check["name"] for check in report["checks"] if not check["passed"]]


def undetectable_faults(report: Mapping[str, Any]) -> list[str]:
    """Return a report's sentences about the signals in which faults cannot be detected."""
    return list(report["failures"].get("undetectable", ()))


def require_passed(report: Mapping[str, Any]) -> None:
    """Raise CheckFailed with the names of all failed checks if a check failed."""
    failed_names = failed_checks(report)
    if failed_names:
        raise CheckFailed(f"{report['version']} failed the gate: {', '.join(failed_names)}")
