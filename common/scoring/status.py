"""How much of the memory could be used to score a row."""

from enum import StrEnum

import numpy as np


class Status(StrEnum):
    """How a row could be judged; all but `scored` are judged by what needs no memory."""

    SCORED = "scored"
    WARMING_UP = "warming_up"
    """Too little is known of its sensor yet."""
    GAP = "gap"
    """The rows before it are too old to say anything about it."""
    LATE = "late"
    """Older than the newest row of its sensor: the memory is left as it is."""
    DUPLICATE = "duplicate"
    """As old as the newest row of its sensor: the memory is left as it is."""


STATUSES = tuple(Status)
STATUS_TEXTS = np.asarray([status.value for status in STATUSES], dtype=object)
"""As plain texts: of an enum's member an encoder has to ask for its value each time."""
