"""The reasons for which an episode is suppressed."""

from enum import StrEnum

import numpy as np


class Suppression(StrEnum):
    """Why an episode shows no new fault, so that its severity is `info`."""

    NONE = "none"
    RECOVERY = "recovery"
    """A signal of a recent alarm has jumped back to its usual level."""
    REPEAT = "repeat"
    """A signal of a recent alarm is unusual again in the same direction; the episode is not clearly
    rarer than the recent alarms."""
    FLAPPING = "flapping"
    """A repeat of an alarm that has occurred several times."""


SUPPRESSIONS = tuple(Suppression)
"""Positions in this tuple are the numbers of `Detections.suppression`."""
SUPPRESSION_TEXTS = np.asarray([suppression.value for suppression in SUPPRESSIONS], dtype=object)
"""The values of SUPPRESSIONS as plain texts, which encoders write faster than enum members."""
