"""Durations as text: as people write them, such as `90s` and `7d`, and as people read them."""

import re

SECONDS_BY_UNIT = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_UNITS = ((86_400, "days"), (3_600, "h"), (60, "min"), (1, "s"))
_DURATION = re.compile(r"(\d{1,9})([smhd])", re.ASCII)


def parse_duration(text: str) -> int:
    """Return a duration in seconds.

    Raises ValueError if the text is not a number of at least 1 with one of the units s, m, h and d.
    """
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError("not a duration such as 90s, 30m, 24h or 7d")
    return int(match[1]) * SECONDS_BY_UNIT[match[2]]


def duration_text(seconds: float) -> str:
    """Return a duration in the largest unit that it contains at least twice.

    >>> [duration_text(seconds) for seconds in (0.5, 60, 720, 5_400, 250_000)]
    ['0.5 s', '60 s', '12 min', '90 min', '2.9 days']
    """
    for unit_seconds, unit in _UNITS:
        if seconds >= 2 * unit_seconds:
            digits = ".2g" if seconds < 10 * unit_seconds else ".0f"
            return f"{seconds / unit_seconds:{digits}} {unit}"
    return f"{seconds:.3g} s"
