"""The order of the severities."""

from sensorwatch.common.scoring.detections import Severity

_RANKS = {severity.value: rank for rank, severity in enumerate(Severity)}


def severity_rank(severity: str) -> int:
    """Return the position of a severity, from 0 (`none`); an unknown severity is the highest."""
    return _RANKS.get(severity, len(_RANKS))
