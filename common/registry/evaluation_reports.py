"""The numbered evaluation reports of a version, and their audit entries."""

import hashlib
import json
from pathlib import Path
from typing import Any

from sensorwatch.common.errors import ModelRefused, UsageError
from sensorwatch.common.registry.audit import Action, AuditEntry
from sensorwatch.common.registry.version_files import REPORTS


def report_bytes(report: dict[str, Any]) -> bytes:
    """Return the content of a report's file.

    Raises UsageError if "passed" is missing or the report is not plain JSON.
    """
    if not isinstance(report.get("passed"), bool):
        raise UsageError('a report must say "passed": true or false')
    try:
        return json.dumps(report, indent=2, allow_nan=False).encode() + b"\n"
    except (TypeError, ValueError) as error:
        raise UsageError(f"a report must be plain JSON: {error}") from error


def report_detail(path: Path, content: bytes, *, passed: bool) -> dict[str, Any]:
    """Return the detail of a report's audit entry: file name, digest and result."""
    digest = hashlib.sha256(content).hexdigest()
    return {"report": path.name, "sha256": digest, "passed": passed}


def next_report(folder: Path) -> Path:
    """Return the path for the next report of a version."""
    numbers = [int(path.stem) for path in _reports(folder)]
    return folder / REPORTS / f"{max(numbers, default=0) + 1:04d}.json"


def newest_report(folder: Path) -> dict[str, Any] | None:
    """Return the newest report of a version, or None; raises ModelRefused if it is damaged."""
    paths = _reports(folder)
    if not paths:
        return None
    try:
        report = json.loads(paths[-1].read_bytes())
    except (OSError, ValueError) as error:
        raise ModelRefused(f"the report {paths[-1]} cannot be read: {error}") from error
    if not isinstance(report, dict):
        raise ModelRefused(f"the report {paths[-1]} is not a JSON object")
    return report


def report_problems(folder: Path, entries: list[AuditEntry]) -> list[str]:
    """Return one text for each report of a version that differs from its audit entry."""
    entries_by_report = {
        entry.detail.get("report"): entry for entry in _evaluations(folder.name, entries)
    }
    problems = []
    for path in _reports(folder):
        entry = entries_by_report.get(path.name)
        if entry is None or entry.detail.get("sha256") != _digest(path):
            problems.append(f"{REPORTS}/{path.name} is not what the audit log recorded")
    return problems


def promotion_obstacle(folder: Path, entries: list[AuditEntry]) -> str | None:
    """Return why a version may not be promoted, or None if it may be promoted."""
    evaluation_entries = _evaluations(folder.name, entries)
    if not evaluation_entries:
        return "it has no report"
    detail = evaluation_entries[-1].detail
    path = folder / REPORTS / str(detail.get("report"))
    if _digest(path) != detail.get("sha256"):
        return f"its report {path.name} is missing or was edited"
    if detail.get("passed") is not True:
        return f"its newest report {path.name} did not pass"
    return None


def _evaluations(version: str, entries: list[AuditEntry]) -> list[AuditEntry]:
    return [e for e in entries if e.action is Action.EVALUATE and e.version == version]


def _reports(folder: Path) -> list[Path]:
    files = (folder / REPORTS).glob("*.json")
    return sorted((file for file in files if file.stem.isdecimal()), key=lambda f: int(f.stem))


def _digest(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
