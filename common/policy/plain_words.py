"""Describes a policy in sentences, for `rules check` and `rules show`."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.policy.learned import LearnedPart, LearnedSignal, LearnedSuppression
from sensorwatch.common.policy.rules import Direction, Rule, SilenceLimit, Window, WindowAction
from sensorwatch.common.rows.durations import duration_text

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_SIDES = {Direction.HIGH: "unusually high", Direction.LOW: "unusually low"}


def describe_policy(policy: AlarmPolicy, now: int) -> list[str]:
    """Return the lines that describe a policy. `now`: microseconds UTC."""
    if not (policy.rules or policy.windows or policy.silences or policy.learned.suppressions):
        return ["no rules: every alarm of the model is published"]
    lines: list[str] = []
    for rule in policy.rules:
        lines += [f"rule {rule.name}: {_scope_text(rule)}", *(f"  {s}" for s in _rule_lines(rule))]
    for window in policy.windows:
        lines += _window_lines(window, now)
    lines += [_silence_line(silence) for silence in policy.silences]
    lines += describe_learned(policy.learned, now)
    end = policy.content.calendar_end
    if end is not None:
        state = "has ended" if end <= now else "ends"
        lines.append(
            f"calendar: {state} at {_time_text(end)}; from then on recurring windows have no "
            "effect. Apply the file again before this time"
        )
    return lines


def describe_learned(learned: LearnedPart, now: int) -> list[str]:
    """Return the lines that describe learned suppressions; windows are left out."""
    return [line for entry in learned.suppressions for line in _learned_lines(entry, now)]


def _learned_lines(entry: LearnedSuppression, now: int) -> Iterator[str]:
    scope = f"the group {entry.group}" if entry.group else f"the sensor {entry.sensor}"
    state = "has ended" if entry.expires <= now else "ends"
    yield (
        f"learned from {entry.episode_id} ({entry.verdict}): similar excursions of {scope} are "
        f"suppressed; {state} at {_time_text(entry.expires)}"
    )
    yield f"  patterns {', '.join(entry.patterns)}"
    for signal in entry.signals:
        yield f"  {_signal_text(signal)}"
    if entry.max_rows is not None:
        yield f"  from row {entry.max_rows + 1} of an episode on, it is an alarm"


def _signal_text(signal: LearnedSignal) -> str:
    side = "" if signal.direction is Direction.BOTH else f" {signal.direction.value}"
    start = f", by at least {signal.min_start:.4g} in the first row" if signal.min_start else ""
    return f"{signal.name}{side} by at most {signal.max_deviation:.4g}{start}"


def _scope_text(rule: Rule) -> str:
    signal = "every signal" if rule.signal == "*" else f"signal {rule.signal}"
    return f"{signal} of {_sensors_text(rule.sensor)}"


def _sensors_text(glob: str) -> str:
    return "every sensor" if glob == "*" else f"the sensors {glob}"


def _rule_lines(rule: Rule) -> Iterator[str]:
    if rule.direction in _SIDES:
        yield f"an alarm only if the value is {_SIDES[rule.direction]}"
    if rule.min_deviation:
        yield f"an alarm only if the deviation is at least {rule.min_deviation:g}"
    if rule.min_relative_deviation:
        yield (
            "an alarm only if the deviation is at least "
            f"{100 * rule.min_relative_deviation:g} % of the expected value"
        )
    for side, limit in (("below", rule.low_limit), ("above", rule.high_limit)):
        if limit is not None:
            yield f"a value {side} {limit:g} is an anomaly of severity {rule.severity.value}"
    if rule.min_rows > 1:
        yield f"an episode becomes an alarm when it has {rule.min_rows} rows"


def _silence_line(silence: SilenceLimit) -> str:
    effect = "never silent"
    if silence.after_seconds:
        effect = f"silent after {duration_text(silence.after_seconds)} without a row"
    return f"silence {silence.name}: {_sensors_text(silence.sensor)} are {effect}"


def _window_lines(window: Window, now: int) -> Iterator[str]:
    effect = {
        WindowAction.SUPPRESS: "alarms are suppressed",
        WindowAction.ANNOTATE: "events name the window",
    }[window.action]
    yield f"window {window.name}: {effect}, for {_sensors_text(window.sensor)}"
    coming_intervals = [interval for interval in window.intervals if interval[1] > now]
    if not coming_intervals:
        yield "  no interval from now on"
        return
    begin, end = coming_intervals[0]
    label = "now" if begin <= now else "next"
    span = f"{_time_text(begin)} to {_time_text(end)}"
    yield f"  {label}: {span}; intervals from now on: {len(coming_intervals)}"


def _time_text(microseconds: int) -> str:
    return f"{_EPOCH + timedelta(microseconds=microseconds):%Y-%m-%d %H:%MZ}"
