"""The verdicts of a policy on rows: hard limits, suppressing rules and calendar windows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.policy.rules import (
    LIMIT_SEVERITIES,
    Direction,
    Rule,
    Window,
    WindowAction,
)

UNUSUAL = 1.0
"""A signal is unusual if the size of its strength is above this value. It is high or low if the
size of its level is above this value. A signal that returns to its usual level is unusual, but
neither high nor low."""


@dataclass(frozen=True, slots=True)
class BrokenLimits:
    """The hard limit that each of n rows breaks, if any; each array has shape (n,)."""

    rule: NDArray[np.int64]
    """Number of the rule whose limit the row breaks; 0 if it breaks none."""
    signal: NDArray[np.int64]
    """Position of the signal that breaks the limit; 0 if there is none."""
    is_high: NDArray[np.bool_]
    """Whether the signal is above its high limit."""
    severity: NDArray[np.int64]
    """Position of the limit's severity in LIMIT_SEVERITIES."""
    min_rows: NDArray[np.int64]
    """`Rule.min_rows` of the rule."""


@dataclass(frozen=True, slots=True)
class RowEvidence:
    """The facts about k anomalous rows by which rules judge them."""

    strength: NDArray[np.float64]
    """Shape (k, signals). How unusual each signal is, with the sign of its direction; more than 1
    in size is unusual."""
    level: NDArray[np.float64]
    """Shape (k, signals). Distance of each signal from its usual level, in the unit of `strength`;
    0 if it is unknown."""
    is_exempt: NDArray[np.bool_]
    """Shape (k, signals). Whether direction and deviation of the signal have no meaning: it repeats
    its value, or it is an angle."""
    deviation: NDArray[np.float64]
    """Shape (2, k, signals). Difference from the forecast and from the usual level."""
    expected: NDArray[np.float64]
    """Shape (2, k, signals). The forecast and the usual level, in the signal's unit."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The verdicts on k anomalous rows; each array has shape (k,)."""

    rule: NDArray[np.int64]
    """Number of the rule or window that suppresses the row; 0 if there is none."""
    min_rows: NDArray[np.int64]
    """Number of rows that the row's episode needs to become an alarm."""
    waiting_rule: NDArray[np.int64]
    """Number of the rule that requires `min_rows`; 0 if there is none."""
    annotation: NDArray[np.int64]
    """Number of the first window with the action `annotate` at the row's time; 0 if there is
    none."""


def find_broken_limits(
    policy: AlarmPolicy,
    matches: NDArray[np.bool_],
    sensor: NDArray[np.int32],
    values: NDArray[np.float64],
    is_known: NDArray[np.bool_],
    signal_names: tuple[str, ...],
) -> BrokenLimits:
    """Return the hard limit that each row breaks; the most severe one if it breaks several.

    `matches`: see `SensorRules.matches`. `sensor`: shape (n,), position of each row's sensor in
    `matches`. `values`, `is_known`: shape (n, signals); a value that is not known breaks no limit.
    """
    rows = len(sensor)
    broken = BrokenLimits(
        rule=np.zeros(rows, dtype=np.int64),
        signal=np.zeros(rows, dtype=np.int64),
        is_high=np.zeros(rows, dtype=np.bool_),
        severity=np.zeros(rows, dtype=np.int64),
        min_rows=np.zeros(rows, dtype=np.int64),
    )
    severities = [LIMIT_SEVERITIES.index(rule.severity) for rule in policy.rules]
    # A later assignment overwrites an earlier one. So the most severe rule is the last one, and of
    # equal rules the first one in the file.
    for number in sorted(range(len(policy.rules)), key=lambda n: (severities[n], -n)):
        rule = policy.rules[number]
        if not rule.has_limits:
            continue
        is_covered = matches[sensor, number]
        low_limit, high_limit = rule.limits
        for signal in reversed(_signals_of(rule, signal_names)):
            is_high = values[:, signal] > high_limit
            broken_rows = np.flatnonzero(
                is_covered & is_known[:, signal] & (is_high | (values[:, signal] < low_limit))
            )
            broken.rule[broken_rows], broken.signal[broken_rows] = rule.key, signal
            broken.is_high[broken_rows] = is_high[broken_rows]
            broken.severity[broken_rows], broken.min_rows[broken_rows] = (
                severities[number],
                rule.min_rows,
            )
    return broken


def judge_rows(
    policy: AlarmPolicy,
    matches: NDArray[np.bool_],
    event_time: NDArray[np.int64],
    evidence: RowEvidence,
    signal_names: tuple[str, ...],
) -> Verdicts:
    """Return the verdicts on k anomalous rows.

    A row is suppressed if a window with the action `suppress` covers its time, or if rules excuse
    every unusual signal of the row. So a fault of a second signal is not hidden. `matches`: shape
    (k, rules and windows). `event_time`: shape (k,), microseconds UTC.
    """
    rules = len(policy.rules)
    row = np.arange(len(event_time))
    is_unusual, leading = unusual_signals(evidence.strength)
    excusing_rule = _excusing_rules(policy.rules, matches, evidence, signal_names)
    is_excused = ((excusing_rule != 0) | ~is_unusual).all(axis=1)
    min_rows, waiting_rule = _required_rows(policy.rules, matches, len(signal_names), signal_names)
    fastest_signal = np.where(is_unusual, min_rows, np.iinfo(np.int64).max).argmin(axis=1)
    verdicts = Verdicts(
        np.where(is_excused, excusing_rule[row, leading], 0),
        min_rows[row, fastest_signal],
        waiting_rule[row, fastest_signal],
        np.zeros(len(event_time), dtype=np.int64),
    )
    for number, window in reversed([*enumerate(policy.windows, start=rules)]):
        is_covered = matches[:, number] & _is_in_window(window, event_time)
        is_suppressing = window.action is WindowAction.SUPPRESS
        column = verdicts.rule if is_suppressing else verdicts.annotation
        column[is_covered] = window.key
    return verdicts


def _signals_of(rule: Rule, signal_names: tuple[str, ...]) -> list[int]:
    return [i for i, name in enumerate(signal_names) if rule.signal in ("*", name)]


def unusual_signals(
    strength: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Return the unusual signals (k, signals), and the leading signal (k,) of each row.

    The leading signal counts as unusual, too. If a row has no evidence, all its signals do.
    """
    size = np.abs(strength)
    leading = size.argmax(axis=1)
    is_unusual = size > UNUSUAL
    is_unusual[np.arange(len(leading)), leading] = True
    is_unusual[~size.any(axis=1)] = True
    return is_unusual, leading


def _excusing_rules(
    rules: tuple[Rule, ...],
    matches: NDArray[np.bool_],
    evidence: RowEvidence,
    signal_names: tuple[str, ...],
) -> NDArray[np.int64]:
    """Return for each signal (k, signals) the number of the first rule that excuses it, or 0.

    A rule excuses a signal that has the wrong direction or too small a deviation. Both the
    deviation from the forecast and that from the usual level must be too small.
    """
    excusing_rule = np.zeros(evidence.strength.shape, dtype=np.int64)
    size = np.abs(evidence.deviation)
    for number, rule in reversed([*enumerate(rules)]):
        if not rule.judges_deviations:
            continue
        rule_signals = _signals_of(rule, signal_names)
        needed = np.maximum(
            rule.min_deviation, rule.min_relative_deviation * np.abs(evidence.expected)
        )
        is_excused = (size < needed).all(axis=0)
        if rule.direction is not Direction.BOTH:
            sign = 1.0 if rule.direction is Direction.HIGH else -1.0
            is_excused |= sign * evidence.level <= UNUSUAL
        # Without evidence there is no direction and no deviation that the rule could judge.
        is_excused &= (evidence.level != 0.0) & ~evidence.is_exempt
        is_excused &= matches[:, number, np.newaxis]
        for signal in rule_signals:
            excusing_rule[is_excused[:, signal], signal] = rule.key
    return excusing_rule


def _required_rows(
    rules: tuple[Rule, ...],
    matches: NDArray[np.bool_],
    signals: int,
    signal_names: tuple[str, ...],
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return for each signal (k, signals) the largest `min_rows`, and the number of its rule."""
    min_rows = np.ones((len(matches), signals), dtype=np.int64)
    waiting_rule = np.zeros((len(matches), signals), dtype=np.int64)
    for number, rule in enumerate(rules):
        for signal in _signals_of(rule, signal_names) if rule.min_rows > 1 else ():
            rows = np.flatnonzero(matches[:, number] & (min_rows[:, signal] < rule.min_rows))
            min_rows[rows, signal], waiting_rule[rows, signal] = rule.min_rows, rule.waiting_key
    return min_rows, waiting_rule


def _is_in_window(window: Window, event_time: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return whether each time (k,) is in one of the window's intervals."""
    if not window.intervals:
        return np.zeros(len(event_time), dtype=np.bool_)
    begins, ends = np.asarray(window.intervals, dtype=np.int64).T
    index = np.searchsorted(begins, event_time, side="right") - 1
    is_inside: NDArray[np.bool_] = (index >= 0) & (event_time < ends[np.maximum(index, 0)])
    return is_inside
