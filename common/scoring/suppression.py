"""The reasons for which an episode is suppressed, by the model or by a policy."""

from enum import StrEnum

import numpy as np


class Suppression(StrEnum):
    """Why the severity of an episode is `info`, although its score may be rare."""

    NONE = "none"
    RECOVERY = "recovery"
    """A signal of a recent alarm has jumped back to its usual level."""
    REPEAT = "repeat"
    """A signal of a recent alarm is unusual again in the same direction; the episode is not clearly
    rarer than the recent alarms."""
    FLAPPING = "flapping"
    """A repeat of an alarm that has occurred several times."""
    RULE = "rule"
    """A rule of the policy says that the episode is not an alarm."""
    CALENDAR = "calendar"
    """A window of the policy's calendar covers the episode."""


MODEL_SUPPRESSIONS = 4
"""Number of suppressions that do not come from a policy; they are the first ones."""
SUPPRESSIONS = tuple(Suppression)
"""Positions in this tuple are the numbers of `Detections.suppression`."""
SUPPRESSION_TEXTS = np.asarray([suppression.value for suppression in SUPPRESSIONS], dtype=object)
"""The values of SUPPRESSIONS as plain texts, which encoders write faster than enum members."""
