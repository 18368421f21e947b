"""Fields whose values are not in the payload: the record's key, timestamp, topic and headers.

Their names begin with `@`. In a topic, no field of the payload can set them. In a file or a request
a row has them if it contains a field with the same name, such as a column `@key`.
"""

import re
from collections.abc import Iterable

KEY = "@key"
TIMESTAMP = "@timestamp"
"""The record's timestamp in milliseconds since 1970."""
TOPIC = "@topic"
HEADER_PREFIX = "@header."
_TOPIC_PART = re.compile(r"@topic\.(\d{1,3})")


def topic_part_number(name: str) -> int | None:
    """Return which part of the topic's name a source is, counted from 0; None for other sources.

    The parts are separated by dots: for the topic `plant.line2.pumps`, `@topic.1` is `line2`.
    """
    match = _TOPIC_PART.fullmatch(name)
    return None if match is None else int(match[1])


def check_sources(paths: Iterable[str]) -> None:
    """Raise ValueError if a path begins with `@` but names no source."""
    for path in paths:
        is_known = (
            path in (KEY, TIMESTAMP, TOPIC)
            or (path.startswith(HEADER_PREFIX) and path != HEADER_PREFIX)
            or topic_part_number(path) is not None
        )
        if path.startswith("@") and not is_known:
            raise ValueError(
                f'found the field "{path}", wanted {KEY}, {TIMESTAMP}, {TOPIC}, {TOPIC}.0 (a part '
                f"of the topic's name) or {HEADER_PREFIX}NAME"
            )
