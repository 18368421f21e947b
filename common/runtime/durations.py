"""Durations that people write, such as `90s`, `30m`, `24h` and `7d`."""

import re

SECONDS_BY_UNIT = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_DURATION = re.compile(r"(\d{1,9})([smhd])", re.ASCII)


def parse_duration(text: str) -> int:
    """Return a duration in seconds.

    Raises ValueError if the text is not a number of at least 1 with one of the units s, m, h and d.
    """
    match = _DURATION.fullmatch(text)
    if match is None or int(match[1]) == 0:
        raise ValueError("not a duration such as 90s, 30m, 24h or 7d")
    return int(match[1]) * SECONDS_BY_UNIT[match[2]]
