"""The reasons for which an episode is no news."""

from enum import StrEnum

import numpy as np


class Suppression(StrEnum):
    """Why an episode is no news, so that its severity is `info`."""

    NONE = "none"
    RECOVERY = "recovery"
    """A signal of a recent alarm has jumped back to its usual level."""
    REPEAT = "repeat"
    """A signal of a recent alarm is odd again in the same direction, and not rarer."""
    FLAPPING = "flapping"
    """A repeat of an alarm that has come several times."""


SUPPRESSIONS = tuple(Suppression)
"""Positions in this tuple are the numbers of `Detections.suppression`."""
SUPPRESSION_TEXTS = np.asarray([suppression.value for suppression in SUPPRESSIONS], dtype=object)
"""The values of SUPPRESSIONS as plain texts, which encoders write faster than enum members."""
