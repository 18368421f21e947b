"""The decision on a report: which checks failed."""

from collections.abc import Mapping
from typing import Any

from sensorwatch.common.errors import CheckFailed


def failed_checks(report: Mapping[str, Any]) -> list[str]:
    """Return the names of the checks that a report failed."""
    return [check["name"] for check in report["checks"] if not check["passed"]]


def require_passed(report: Mapping[str, Any]) -> None:
    """Raise CheckFailed naming every failed check."""
    failed = failed_checks(report)
    if failed:
        raise CheckFailed(f"{report['version']} failed the gate: {', '.join(failed)}")
