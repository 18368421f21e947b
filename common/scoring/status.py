"""The status of a scored row: how much of the memory its score used."""

from enum import StrEnum

import numpy as np


class Status(StrEnum):
    """How much of the memory the score of a row used; `scored` means all of it."""

    SCORED = "scored"
    WARMING_UP = "warming_up"
    """The memory has too few rows of the sensor for a forecast."""
    GAP = "gap"
    """The time since the sensor's previous row is longer than the longest gap that the model
    allows."""
    LATE = "late"
    """The row is older than the sensor's newest row; the row does not change the memory."""
    DUPLICATE = "duplicate"
    """The row has the same time as the sensor's newest row; the row does not change the memory."""
    MISSING = "missing"
    """The row has no value of any signal. It gets the score 0, and only its context values change
    the memory."""


STATUSES = tuple(Status)
"""The status numbers in `Detections.status` are positions in this tuple."""
STATUS_TEXTS = np.asarray([status.value for status in STATUSES], dtype=object)
"""The values of STATUSES as plain texts, which encoders write faster than enum members."""
