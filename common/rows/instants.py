"""Parsing of times in the declared formats to microseconds since 1970-01-01 UTC."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone

from sensorwatch.common.rows.field_declarations import EPOCH_UNITS_NS, RepeatedHour, TimeField
from sensorwatch.common.rows.limits import EARLIEST_TIME, LATEST_TIME
from sensorwatch.common.rows.rejection import short_repr
from sensorwatch.common.rows.zones import load_zone

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A time by RFC 3339 section 5.6, and the spellings that loggers and databases write: a space
# instead of the T, no seconds, a decimal comma, an offset without a colon or of hours only, and UTC
# as a word.
# A time without a zone matches, too; such a time is valid if the schema has a `naive_zone`.
_RFC3339 = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d{1,20}))?)?"
    r"( ?(?:[Zz]|UTC|GMT|[+-]\d\d(?::?\d\d)?))?",
    re.ASCII,
)
_DECIMAL_NUMBER = re.compile(
    r"[+-]?(?:\d{1,25}(?:[.,]\d{0,25})?|[.,]\d{1,25})(?:[eE][+-]?\d{1,3})?", re.ASCII
)
_TWENTY_FOUR = re.compile(r"2(?=4)")
_MAX_END_OF_DAY_TEXT = 60
"""A longer text is not searched for hour 24, because a text could contain 24 many times."""
EXCEL_EPOCH = datetime(1899, 12, 30, tzinfo=UTC)
_DAY_US = 86_400_000_000
_EXCEL_TOLERANCE_US = 50_000
"""A time in days with six decimals differs by up to 43 ms from the second that is meant."""
_MAX_EXCEL_DAYS = 2_958_466  # the end of the year 9999
_MAX_FLOAT_EPOCH = 1e21
"""Larger than the nanoseconds of the year 9999, and far below the limit of a conversion to int."""
_UNIT_NAMES = {
    "epoch_s": "seconds",
    "epoch_ms": "milliseconds",
    "epoch_us": "microseconds",
    "epoch_ns": "nanoseconds",
}


class BadTime(ValueError):
    """A value is not a time in the declared format; the text gives the reason."""


TimeReader = Callable[[object, int | None], int]
"""A function that parses a value to microseconds UTC or raises BadTime.

The second argument is the receive time in microseconds UTC, or None if it is unknown. This time
decides which occurrence of a repeated hour is meant."""


def time_reader(time_field: TimeField) -> TimeReader:
    """Return a function that parses a time in the first of the declared formats that fits."""
    local_clock = None if time_field.naive_zone is None else _LocalClock(time_field)
    readers = [_reader_of_format(name, local_clock) for name in time_field.formats]
    if len(readers) == 1:
        return readers[0]

    def read_any(value: object, received: int | None) -> int:
        errors = []
        for read_time in readers:
            try:
                return read_time(value, received)
            except BadTime as error:
                errors.append(str(error))
        raise BadTime("; ".join(errors))

    return read_any


def _reader_of_format(time_format: str, local_clock: "_LocalClock | None") -> TimeReader:
    if time_format == "rfc3339":
        return lambda value, received: _parse_rfc3339(value, received, local_clock)
    if time_format == "excel_days":
        return lambda value, received: _parse_excel_days(value, received, local_clock)
    unit_ns = EPOCH_UNITS_NS.get(time_format)
    if unit_ns is not None:
        return lambda value, _received: _parse_epoch(value, time_format, unit_ns)
    return lambda value, received: _parse_pattern(value, time_format, received, local_clock)


def format_instant(microseconds: int) -> str:
    """Return an instant as RFC 3339 in UTC, with a fraction only if it is not zero."""
    instant = EPOCH + timedelta(microseconds=int(microseconds))
    return instant.replace(tzinfo=None).isoformat() + "Z"


def _parse_rfc3339(value: object, received: int | None, local_clock: "_LocalClock | None") -> int:
    if not isinstance(value, str):
        raise BadTime(f"found {short_repr(value)}, wanted an RFC 3339 text")
    match = _RFC3339.fullmatch(value)
    if match is None:
        raise BadTime(f"found {short_repr(value)}, wanted RFC 3339 such as 2025-01-01T00:00:00Z")
    *number_texts, fraction_text, offset_text = match.groups()
    year, month, day, hour, minute, second = (int(text or 0) for text in number_texts)
    is_end_of_day = (hour, minute, second) == (24, 0, 0)
    try:
        naive_time = datetime(year, month, day, 0 if is_end_of_day else hour, minute, second)  # noqa: DTZ001 - zone set below
        naive_time += timedelta(days=is_end_of_day)
    except (ValueError, OverflowError) as error:
        raise BadTime(f"found {short_repr(value)}: {error}") from error
    fraction_us = int(f"{fraction_text or '0':0<6.6}")
    if offset_text is None:
        return _naive_to_utc(naive_time, value, received, local_clock) + fraction_us
    return _check_range(
        _to_microseconds(naive_time.replace(tzinfo=_parse_utc_offset(offset_text.strip(), value)))
        + fraction_us,
        value,
    )


def _parse_utc_offset(text: str, value: object) -> timezone:
    if text in ("Z", "z", "UTC", "GMT"):
        return UTC
    hours, minutes = int(text[1:3]), int(text[3:].removeprefix(":") or 0)
    if hours > 23 or minutes > 59:
        raise BadTime(f"found {short_repr(value)}: no such UTC offset {text}")
    offset_size = timedelta(hours=hours, minutes=minutes)
    return timezone(-offset_size if text[0] == "-" else offset_size)


def _parse_epoch(value: object, time_format: str, unit_ns: int) -> int:
    """Return an epoch in microseconds. Nanoseconds are truncated to whole microseconds."""
    number = number_of(value)
    if type(number) is int:
        return _check_range(number * unit_ns // 1000, value)
    if type(number) is float and abs(number) < _MAX_FLOAT_EPOCH:
        microseconds = round(number * (unit_ns // 1000)) if unit_ns >= 1000 else int(number) // 1000
        return _check_range(microseconds, value)
    unit = _UNIT_NAMES[time_format]
    raise BadTime(f"found {short_repr(value)}, wanted a number of {unit} since 1970")


def _parse_excel_days(
    value: object, received: int | None, local_clock: "_LocalClock | None"
) -> int:
    """Return a time from Excel's days since 1899-12-30, which have no zone.

    The time is rounded to a second if it is at most 50 ms away, else to a millisecond.
    """
    number = number_of(value)
    if (
        isinstance(number, bool)
        or not isinstance(number, int | float)
        or not 0 <= number < _MAX_EXCEL_DAYS
    ):
        raise BadTime(f"found {short_repr(value)}, wanted days since 1899-12-30, as Excel counts")
    microseconds = round(number * _DAY_US)
    nearest_second = round(microseconds / 1_000_000) * 1_000_000
    if abs(microseconds - nearest_second) <= _EXCEL_TOLERANCE_US:
        microseconds = nearest_second
    else:
        microseconds = round(microseconds / 1000) * 1000
    naive_time = EXCEL_EPOCH.replace(tzinfo=None) + timedelta(microseconds=microseconds)
    return _naive_to_utc(naive_time, value, received, local_clock)


def number_of(value: object) -> object:
    """Return the number in a text, or the value itself if it is not the text of a number.

    The number may have a decimal point or a decimal comma. Digits alone become an int, so that
    nanoseconds stay exact.
    """
    if not isinstance(value, str) or not _DECIMAL_NUMBER.fullmatch(value):
        return value
    digits = value.removeprefix("-").removeprefix("+")
    return int(value) if digits.isdecimal() else float(value.replace(",", "."))


def _parse_pattern(
    value: object, pattern: str, received: int | None, local_clock: "_LocalClock | None"
) -> int:
    if not isinstance(value, str):
        raise BadTime(f"found {short_repr(value)}, wanted a text like {pattern}")
    try:
        instant = _parse_by_pattern(value, pattern)
    except (ValueError, OverflowError) as error:
        raise BadTime(f"found {short_repr(value)}, wanted a text like {pattern}") from error
    if instant.tzinfo is None:
        return _naive_to_utc(instant, value, received, local_clock)
    return _check_range(_to_microseconds(instant), value)


def _parse_by_pattern(text: str, pattern: str) -> datetime:
    try:
        return datetime.strptime(text, pattern)  # noqa: DTZ007 - the zone is set by the caller
    except ValueError:
        # strptime refuses hour 24, which means the end of the day.
        if "%H" not in pattern or len(text) > _MAX_END_OF_DAY_TEXT:
            raise
        midnight = _start_of_day(text, pattern)
        if midnight is None:
            raise
    return midnight + timedelta(days=1)


def _start_of_day(text: str, pattern: str) -> datetime | None:
    """Return the time of a text with hour 24 as if it had hour 0; None if it has no such hour."""
    for match in _TWENTY_FOUR.finditer(text):
        # Only the hour can be 24 in a text that strptime refuses and reads with 00 in its place.
        text_with_hour_0 = f"{text[: match.start()]}00{text[match.start() + 2 :]}"
        try:
            midnight = datetime.strptime(text_with_hour_0, pattern)  # noqa: DTZ007
        except ValueError:
            continue
        if (midnight.hour, midnight.minute, midnight.second) == (0, 0, 0):
            return midnight
    return None


class _LocalClock:
    """Converts times of a zone to UTC, even in the hours in which the clock changes."""

    def __init__(self, time_field: TimeField) -> None:
        assert time_field.naive_zone is not None
        self.is_utc = time_field.naive_zone == "UTC"
        self._zone = load_zone(time_field.naive_zone)
        self._repeated_hour = time_field.fold

    def to_microseconds(self, naive_time: datetime, received: int | None) -> int:
        """Return a local time in microseconds UTC.

        Raises BadTime if the clock skips the time, and for a repeated time that is refused. Raises
        OverflowError outside the years 1 to 9999.
        """
        first, second = (
            _to_microseconds(naive_time.replace(tzinfo=self._zone, fold=fold)) for fold in (0, 1)
        )
        if first == second:
            return first
        if second < first:
            raise BadTime(f"the clock of {self._zone.key} skips this time: summer time begins")
        match self._repeated_hour:
            case RepeatedHour.SECOND:
                return second
            case RepeatedHour.REJECT:
                raise BadTime(
                    f'the clock of {self._zone.key} shows this time twice, and fold is "reject"'
                )
            case RepeatedHour.INFER if received is not None:
                return second if abs(second - received) < abs(first - received) else first
        return first


def _naive_to_utc(
    naive_time: datetime, value: object, received: int | None, local_clock: _LocalClock | None
) -> int:
    if local_clock is None:
        raise BadTime(f"found {short_repr(value)}: no zone, and the schema has no naive_zone")
    if local_clock.is_utc:
        return _to_microseconds(naive_time.replace(tzinfo=UTC))
    try:
        return _check_range(local_clock.to_microseconds(naive_time, received), value)
    except BadTime as error:
        raise BadTime(f"found {short_repr(value)}: {error}") from error
    except OverflowError as error:  # the zone moves the time out of the years 1 to 9999
        raise BadTime(f"found {short_repr(value)}: outside the years 1 to 9999") from error


def _to_microseconds(instant: datetime) -> int:
    return (instant - EPOCH) // timedelta(microseconds=1)


def _check_range(microseconds: int, value: object) -> int:
    if not EARLIEST_TIME <= microseconds <= LATEST_TIME:
        raise BadTime(f"found {short_repr(value)}: outside the years 1 to 9999")
    return microseconds
