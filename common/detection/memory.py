"""What features remember of each sensor between micro-batches, as a value."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Memory:
    """The memory of one stream of readings.

    The plain plan remembers nothing, so there is nothing in it yet; whoever holds a stream already
    hands it to `processing` and keeps what comes back.
    """


COLD = Memory()
"""The memory before the first reading."""
