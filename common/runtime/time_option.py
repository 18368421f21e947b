"""The value of a command-line option that is a time."""

import re
import time

from sensorwatch.common.errors import UsageError
from sensorwatch.common.rows.durations import SECONDS_BY_UNIT
from sensorwatch.common.rows.field_declarations import TimeField
from sensorwatch.common.rows.instants import BadTime, time_reader

NOW = "now"
_AGE = re.compile(r"([0-9]{1,6})([smhd])", re.ASCII)


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


def parse_age_option(option: str, text: str) -> int:
    """Return the time in an option, in microseconds UTC.

    The text is a time, or an age such as `7d`. The units of an age are `s`, `m`, `h` and `d`.
    Raises UsageError if the text is invalid.
    """
    age = _AGE.fullmatch(text)
    if age is None:
        return parse_time_option(option, text)
    return time.time_ns() // 1_000 - int(age[1]) * SECONDS_BY_UNIT[age[2]] * 1_000_000
