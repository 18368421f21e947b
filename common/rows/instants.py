"""Parsing of times in the declared formats to microseconds since 1970-01-01 UTC."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from sensorwatch.common.rows.limits import EARLIEST_TIME, LATEST_TIME
from sensorwatch.common.rows.rejection import short_repr
from sensorwatch.common.rows.schema import TimeField

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A time by RFC 3339 section 5.6, with a T or a space after the date. A time without a zone matches,
# too; such a time is valid if the schema has a `naive_zone`.
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,20}))?([Zz]|[+-]\d\d:\d\d)?",
    re.ASCII,
)


class BadTime(ValueError):
    """A value is not a time in the declared format; the text gives the reason."""


def time_reader(time_field: TimeField) -> Callable[[object], int]:
    """Return a function that parses a time in a field to microseconds UTC or raises BadTime."""
    zone = ZoneInfo(time_field.naive_zone) if time_field.naive_zone else None
    match time_field.format:
        case "rfc3339":
            return lambda value: _parse_rfc3339(value, zone)
        case "epoch_s":
            return lambda value: _parse_epoch(value, 1_000_000)
        case "epoch_ms":
            return lambda value: _parse_epoch(value, 1_000)
        case pattern:
            return lambda value: _parse_pattern(value, pattern, zone)


def format_instant(microseconds: int) -> str:
    """Return an instant as RFC 3339 in UTC, with a fraction only if it is not zero."""
    instant = EPOCH + timedelta(microseconds=int(microseconds))
    return instant.replace(tzinfo=None).isoformat() + "Z"


def _parse_rfc3339(value: object, zone: ZoneInfo | None) -> int:
    if not isinstance(value, str):
        raise BadTime(f"found {short_repr(value)}, wanted an RFC 3339 text")
    match = _RFC3339.fullmatch(value)
    if match is None:
        raise BadTime(f"found {short_repr(value)}, wanted RFC 3339 such as 2025-01-01T00:00:00Z")
    *number_texts, fraction_text, offset_text = match.groups()
    year, month, day, hour, minute, second = map(int, number_texts)
    try:
        naive_time = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - zone set below
    except ValueError as error:
        raise BadTime(f"found {short_repr(value)}: {error}") from error
    fraction_us = int(f"{fraction_text or '0':0<6.6}")
    if offset_text is None:
        return _naive_to_utc(naive_time, zone, value) + fraction_us
    return _check_range(
        _to_microseconds(naive_time.replace(tzinfo=_parse_utc_offset(offset_text, value)))
        + fraction_us,
        value,
    )


def _parse_utc_offset(text: str, value: object) -> timezone:
    if text in "Zz":
        return UTC
    hours, minutes = int(text[1:3]), int(text[4:6])
    if hours > 23 or minutes > 59:
        raise BadTime(f"found {short_repr(value)}: no such UTC offset {text}")
    offset_size = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset_size if text[0] == "-" else offset_size)


def _parse_epoch(value: object, unit_us: int) -> int:
    if type(value) is int:
        return _check_range(value * unit_us, value)
    if type(value) is float and abs(value) < 1e15:
        return _check_range(round(value * unit_us), value)
    raise BadTime(
        f"found {short_repr(value)}, wanted a number of seconds or milliseconds since 1970"
    )


def _parse_pattern(value: object, pattern: str, zone: ZoneInfo | None) -> int:
    if not isinstance(value, str):
        raise BadTime(f"found {short_repr(value)}, wanted a text like {pattern}")
    try:
        instant = datetime.strptime(value, pattern)  # noqa: DTZ007 - the zone is set below
    except (ValueError, OverflowError) as error:
        raise BadTime(f"found {short_repr(value)}, wanted a text like {pattern}") from error
    if instant.tzinfo is None:
        return _naive_to_utc(instant, zone, value)
    return _check_range(_to_microseconds(instant), value)


def _naive_to_utc(naive_time: datetime, zone: ZoneInfo | None, value: object) -> int:
    if zone is None:
        raise BadTime(f"found {short_repr(value)}: no zone, and the schema has no naive_zone")
    if zone.key == "UTC":
        return _to_microseconds(naive_time.replace(tzinfo=UTC))
    try:
        return _check_range(_to_microseconds(naive_time.replace(tzinfo=zone)), value)
    except OverflowError as error:  # the zone moves the time out of the years 1 to 9999
        raise BadTime(f"found {short_repr(value)}: outside the years 1 to 9999") from error


def _to_microseconds(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1)


def _check_range(microseconds: int, value: object) -> int:
    if not EARLIEST_TIME <= microseconds <= LATEST_TIME:
        raise BadTime(f"found {short_repr(value)}: outside the years 1 to 9999")
    return microseconds
