"""The limits of silence that a policy sets for some sensors."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.policy.alarm_policy import AlarmPolicy

NO_RULE = -1
"""Value of a sensor whose limit the policy does not set."""


def silence_limits(policy: AlarmPolicy, sensor_ids: Sequence[str]) -> NDArray[np.int64]:
    """Return the limit (sensors,) in microseconds; 0: never silent; NO_RULE: not set."""
    limits = np.full(len(sensor_ids), NO_RULE, dtype=np.int64)
    first = len(policy.rules) + len(policy.windows)
    matches = policy.sensor_rules.matches(sensor_ids)
    # A later assignment overwrites an earlier one, so the first match in the file applies.
    for number, silence in reversed([*enumerate(policy.silences, start=first)]):
        limits[matches[:, number]] = silence.after_seconds * 1_000_000
    return limits
