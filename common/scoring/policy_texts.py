"""The texts about a policy in events, in responses of the API and in files of a backtest."""

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.scoring.detections import Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome


class Cause(StrEnum):
    """What makes a row anomalous."""

    MODEL = "model"
    """Its score."""
    LIMIT = "limit"
    """A hard limit of the policy."""


Choices = tuple[list[str], NDArray[np.int64]]
"""Distinct texts, and for each row the position of its text."""


def row_choices(
    policy: AlarmPolicy, detections: Detections, rows: NDArray[np.int64]
) -> dict[str, Choices]:
    """Return the texts about anomalous rows, by the name of the field.

    `rows`: shape (k,), positions in `detections`.
    """
    limit = detections.limit[rows]
    return {
        "cause": ([cause.value for cause in Cause], (limit != 0).astype(np.int64)),
        "limit_rule": rule_names(policy, limit),
        "suppressed_by": rule_names(policy, detections.rule[rows]),
        "window": rule_names(policy, detections.annotation[rows]),
    }


def rule_names(policy: AlarmPolicy, numbers: NDArray[np.int64]) -> Choices:
    """Return the name of the rule or window with each number; empty for the number 0."""
    distinct_numbers, position = np.unique(numbers, return_inverse=True)
    return [policy.name_of(number) for number in distinct_numbers.tolist()], position


def limit_sentences(
    messages: list[str], detector: Detector, outcome: Outcome, rows: NDArray[np.int64]
) -> list[str]:
    """Return the messages; if a row breaks a hard limit, its message names signal and limit."""
    limit = outcome.detections.limit[rows]
    if detector.policy is None or not limit.any():
        return messages
    signals = {signal.name: (n, signal.unit) for n, signal in enumerate(detector.schema.signals)}
    rules = {rule.key: rule for rule in detector.policy.rules if rule.has_limits}
    messages = list(messages)
    for index in np.flatnonzero(limit).tolist():
        rule = rules[int(limit[index])]
        position, unit = signals[rule.signal]
        value = float(outcome.readings.values[rows[index], position])
        low, high = rule.limits
        side, bound = ("above", high) if value > high else ("below", low)
        unit = "" if unit in ("", "1") else f" {unit}"
        messages[index] = (
            f"{rule.signal} is {value:.3g}{unit}, {side} its limit of {bound:g}{unit} "
            f"(rule {rule.name})"
        )
    return messages
