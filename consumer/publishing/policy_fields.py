"""The fields of events that come from a policy; without a policy, events do not have them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.json_objects import Field, json_texts
from sensorwatch.common.scoring.detections import ClosedEpisode, Detections
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.policy_texts import row_choices, rule_names


def policy_fields(
    detector: Detector, detections: Detections, rows: NDArray[np.int64]
) -> dict[str, Field]:
    """Return the policy's fields of anomalous rows; none without a policy."""
    policy = detector.policy
    if policy is None:
        return {}
    choices = row_choices(policy, detections, rows)
    return {name: json_texts(*texts) for name, texts in choices.items()}


def closed_policy_fields(detector: Detector, episodes: Sequence[ClosedEpisode]) -> dict[str, Field]:
    """Return the policy's fields of closed episodes; none without a policy."""
    policy = detector.policy
    if policy is None:
        return {}
    rules = np.asarray([episode.rule for episode in episodes], dtype=np.int64)
    return {"suppressed_by": json_texts(*rule_names(policy, rules))}
