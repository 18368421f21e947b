"""The value of a command-line option that is a time."""

import time

from sensorwatch.common.errors import UsageError
from sensorwatch.common.rows.field_declarations import TimeField
from sensorwatch.common.rows.instants import BadTime, time_reader

NOW = "now"


def parse_time_option(option: str, text: str) -> int:
    """Return the value of an option, an RFC 3339 time or `now`, in microseconds UTC.

    A time without a time zone is read as UTC. Raises UsageError, with the option's name, if the
    text is invalid.
    """
    if text == NOW:
        return time.time_ns() // 1_000
    try:
        return time_reader(TimeField(naive_zone="UTC"))(text, None)
    except BadTime as error:
        raise UsageError(f"{option}: {error}, or now") from error
