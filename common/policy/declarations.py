"""The declaration of a policy in a TOML file, and how a policy is built from it."""

import tomllib
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Literal, Self

from msgspec import UNSET
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sensorwatch.common.errors import UsageError
from sensorwatch.common.policy.alarm_policy import AlarmPolicy, PolicyContent, format_of
from sensorwatch.common.policy.calendar_intervals import (
    daily_intervals,
    days_between,
    merge_intervals,
    to_microseconds,
)
from sensorwatch.common.policy.rules import (
    MAX_RULES,
    Direction,
    LimitSeverity,
    Rule,
    SilenceLimit,
    Window,
    WindowAction,
)
from sensorwatch.common.pydantic_errors import describe_validation_error
from sensorwatch.common.rows.durations import parse_duration
from sensorwatch.common.rows.zones import load_zone

CALENDAR_DAYS = 400
"""Number of days after the build for which recurring windows are expanded by default."""
MAX_CALENDAR_DAYS = 3_700
PAST_DAYS = 31
"""Number of days before the build for which recurring windows are expanded, so that `rules try`
can score recent input."""
MAX_SILENCE_SECONDS = 3_650 * 86_400
MAX_POLICY_BYTES = 1_000_000

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 ._-]{0,63}$")]
Glob = Annotated[str, Field(min_length=1, max_length=200)]
Positive = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]
Limit = Annotated[float, Field(allow_inf_nan=False)]


class Weekday(StrEnum):
    """A day of the week."""

    MON = "mon"
    TUE = "tue"
    WED = "wed"
    THU = "thu"
    FRI = "fri"
    SAT = "sat"
    SUN = "sun"


_WEEKDAYS = tuple(Weekday)


class _Declaration(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class RuleDeclaration(_Declaration):
    """A `[[rule]]` of the file; see `Rule`."""

    name: Name
    sensor: Glob = "*"
    signal: Annotated[str, Field(min_length=1, max_length=200)] = "*"
    direction: Direction = Direction.BOTH
    min_deviation: Positive = 0.0
    min_relative_deviation: Positive = 0.0
    low_limit: Limit | None = None
    high_limit: Limit | None = None
    severity: LimitSeverity | None = None
    min_rows: Annotated[int, Field(ge=1, le=1_000_000)] = 1

    @model_validator(mode="after")
    def _check(self) -> Self:
        has_limits = self.low_limit is not None or self.high_limit is not None
        if has_limits and self.signal == "*":
            raise ValueError('a limit needs a signal: replace signal = "*" by its name')
        if self.severity is not None and not has_limits:
            raise ValueError("severity applies to limits: add low_limit or high_limit")
        if None not in (self.low_limit, self.high_limit) and not self.limits_are_ordered:
            raise ValueError("low_limit must be below high_limit")
        if not (has_limits or self.min_rows > 1 or self.build().judges_deviations):
            raise ValueError(
                "the rule has no effect: give it direction, min_deviation, min_relative_deviation, "
                "low_limit, high_limit or min_rows"
            )
        return self

    @property
    def limits_are_ordered(self) -> bool:
        """Whether the low limit is below the high limit."""
        return (self.low_limit or 0.0) < (self.high_limit or 0.0)

    def build(self) -> Rule:
        """Return the rule."""
        fields = self.model_dump(exclude={"severity"})
        return Rule(**fields, severity=self.severity or LimitSeverity.CRITICAL)


class WindowDeclaration(_Declaration):
    """A `[[window]]` of the file.

    It occurs once (`begin`, `end`), on `weekdays`, or on the days `dates`.
    """

    name: Name
    sensor: Glob = "*"
    action: WindowAction
    begin: datetime | None = None
    end: datetime | None = None
    weekdays: Annotated[list[Weekday], Field(min_length=1)] | None = None
    dates: Annotated[list[date], Field(min_length=1, max_length=1_000)] | None = None
    from_time: Annotated[time | None, Field(alias="from")] = None
    to_time: Annotated[time | None, Field(alias="to")] = None
    zone: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        given_forms = [self.begin is not None, self.weekdays is not None, self.dates is not None]
        if sum(given_forms) != 1 or (self.begin is None) != (self.end is None):
            raise ValueError("a window needs begin and end, or weekdays, or dates")
        if self.zone is not None:
            load_zone(self.zone)
        if self.begin is not None and self.end is not None:
            if self.zone is None and None in (self.begin.tzinfo, self.end.tzinfo):
                raise ValueError("begin and end need an offset such as Z or +02:00, or a zone")
            if self.from_time is not None or self.to_time is not None:
                raise ValueError("from and to belong to weekdays or dates, not to begin and end")
            if self._aware(self.begin) >= self._aware(self.end):
                raise ValueError("begin must be before end")
        elif self.zone is None:
            raise ValueError('weekdays and dates need a zone, such as "Europe/Oslo" or "UTC"')
        elif (self.from_time is None) != (self.to_time is None):
            raise ValueError("give both from and to, or neither for the day as a whole")
        return self

    def build(self, first_day: date, last_day: date) -> Window:
        """Return the window; `weekdays` are expanded from `first_day` to `last_day`."""
        intervals = merge_intervals(list(self._intervals(first_day, last_day)))
        return Window(self.name, self.sensor, self.action, intervals)

    def _intervals(self, first_day: date, last_day: date) -> Iterator[tuple[int, int]]:
        if self.begin is not None and self.end is not None:
            yield to_microseconds(self._aware(self.begin)), to_microseconds(self._aware(self.end))
            return
        days = self.dates
        if self.weekdays is not None:
            numbers = {_WEEKDAYS.index(weekday) for weekday in self.weekdays}
            days = [d for d in days_between(first_day, last_day) if d.weekday() in numbers]
        midnight = time(0)
        yield from daily_intervals(
            days or (),
            self.from_time or midnight,
            self.to_time or midnight,
            load_zone(self.zone or "UTC"),
        )

    def _aware(self, moment: datetime) -> datetime:
        return moment if moment.tzinfo else moment.replace(tzinfo=load_zone(self.zone or "UTC"))


class SilenceDeclaration(_Declaration):
    """A `[[silence]]` of the file: when some sensors count as silent."""

    name: Name
    sensor: Glob
    silent_after: str | None = None
    """A duration such as `90m`."""
    silence: Literal[False] | None = None
    """False: the sensors are never silent."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.silent_after is None) == (self.silence is None):
            raise ValueError('give either silent_after, such as "6h", or silence = false')
        if not 0 <= self.after_seconds <= MAX_SILENCE_SECONDS:
            raise ValueError(f"silent_after is longer than {MAX_SILENCE_SECONDS // 86_400} days")
        return self

    @property
    def after_seconds(self) -> int:
        """The duration in seconds; 0 if the sensors are never silent."""
        return 0 if self.silent_after is None else parse_duration(self.silent_after)


class CalendarDeclaration(_Declaration):
    """The table `[calendar]` of the file."""

    until: date | None = None
    """Last day for which recurring windows are expanded."""


class PolicyDeclaration(_Declaration):
    """The content of a policy file."""

    calendar: CalendarDeclaration = CalendarDeclaration()
    rule: list[RuleDeclaration] = []
    window: list[WindowDeclaration] = []
    silence: list[SilenceDeclaration] = []

    @model_validator(mode="after")
    def _check(self) -> Self:
        names = [rule.name for rule in self.rule] + [window.name for window in self.window]
        names += [silence.name for silence in self.silence]
        if len(names) > MAX_RULES:
            raise ValueError(
                f"{len(names)} rules and windows, but a policy has at most {MAX_RULES}: use "
                "one rule with a shell pattern for several sensors"
            )
        repeated_names = {name for name in names if names.count(name) > 1}
        if repeated_names:
            raise ValueError(
                f'the name "{min(repeated_names)}" occurs twice: give each rule its own name'
            )
        return self

    def build(self, now: datetime, *, first_day: date | None = None) -> AlarmPolicy:
        """Return the policy; recurring windows are expanded around the day of `now` (UTC).

        `first_day`: an earlier first day for which they are expanded, to score older rows. Raises
        UsageError if `[calendar] until` is too near or too far.
        """
        today = now.astimezone(UTC).date()
        default_day = today - timedelta(days=PAST_DAYS)
        first_day = min(first_day or default_day, default_day)
        last_day = self.calendar.until or today + timedelta(days=CALENDAR_DAYS)
        if not 0 <= (last_day - today).days <= MAX_CALENDAR_DAYS:
            raise UsageError(
                f"[calendar] until is {last_day}, wanted a day from {today} to "
                f"{today + timedelta(days=MAX_CALENDAR_DAYS)}"
            )
        windows = tuple(window.build(first_day, last_day) for window in self.window)
        is_recurring = any(window.weekdays for window in self.window)
        silences = tuple(SilenceLimit(s.name, s.sensor, s.after_seconds) for s in self.silence)
        content = PolicyContent(
            format_of(has_silences=bool(silences), has_learned=False),
            tuple(rule.build() for rule in self.rule),
            windows,
            _start_of(first_day) if is_recurring else None,
            _start_of(last_day + timedelta(days=1)) if is_recurring else None,
            silences or UNSET,
        )
        return AlarmPolicy(content)


def parse_policy(text: bytes, source: str) -> PolicyDeclaration:
    """Return the declaration in the text of a TOML file; raises UsageError if it is wrong.

    `source`: name of the file, for the message.
    """
    if len(text) > MAX_POLICY_BYTES:
        raise UsageError(f"{source} has {len(text)} bytes, wanted at most {MAX_POLICY_BYTES}")
    try:
        document = tomllib.loads(text.decode())
        return PolicyDeclaration.model_validate(document)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"{source} is not TOML: {error}; correct the file") from error
    except ValidationError as error:
        problem = describe_validation_error(error, known=_known_keys())
        raise UsageError(f"{source}: {problem}; docs/policy.md describes each key") from error


def _known_keys() -> list[str]:
    return [
        *PolicyDeclaration.model_fields,
        "calendar.until",
        *(f"rule.0.{name}" for name in RuleDeclaration.model_fields),
        *(
            f"window.0.{field.alias or name}"
            for name, field in WindowDeclaration.model_fields.items()
        ),
        *(f"silence.0.{name}" for name in SilenceDeclaration.model_fields),
    ]


def _start_of(day: date) -> int:
    return to_microseconds(datetime(day.year, day.month, day.day, tzinfo=UTC))
