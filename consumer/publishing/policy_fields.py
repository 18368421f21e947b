"""The fields of events that come from a policy; without a policy, events do not have them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.rows.json_objects import Field, json_texts
from sensorwatch.common.scoring.detections import ClosedEpisode, Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome

CAUSES = ["model", "limit"]
"""What makes a row anomalous: its score, or a hard limit of the policy."""


def policy_fields(
    detector: Detector, detections: Detections, rows: NDArray[np.int64]
) -> dict[str, Field]:
    """Return the policy's fields of anomalous rows; none without a policy."""
    policy = detector.policy
    if policy is None:
        return {}
    limit = detections.limit[rows]
    return {
        "cause": json_texts(CAUSES, (limit != 0).astype(np.int64)),
        "limit_rule": _names(policy, limit),
        "suppressed_by": _names(policy, detections.rule[rows]),
        "window": _names(policy, detections.annotation[rows]),
    }


def closed_policy_fields(detector: Detector, episodes: Sequence[ClosedEpisode]) -> dict[str, Field]:
    """Return the policy's fields of closed episodes; none without a policy."""
    policy = detector.policy
    if policy is None:
        return {}
    rules = np.asarray([episode.rule for episode in episodes], dtype=np.int64)
    return {"suppressed_by": _names(policy, rules)}


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


def _names(policy: AlarmPolicy, numbers: NDArray[np.int64]) -> Field:
    """Return the name of each rule or window; empty for the number 0."""
    distinct_numbers, position = np.unique(numbers, return_inverse=True)
    return json_texts([policy.name_of(number) for number in distinct_numbers.tolist()], position)
