"""The order of the severities."""

from sensorwatch.common.scoring.detections import SEVERITIES, Severity

_RANKS = {severity.value: rank for rank, severity in enumerate(Severity)}


def severity_rank(severity: str) -> int:
    """Return the position of a severity, from 0 (`none`); an unknown severity is the highest."""
    return _RANKS.get(severity, len(_RANKS))


def severity_text(rank: int) -> str:
    """Return the severity with a position; `unknown` for the position of unknown severities."""
    return SEVERITIES[rank].value if rank < len(SEVERITIES) else "unknown"
