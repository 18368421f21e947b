"""What is known about the connection to a topic of Kafka."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Connection:
    """What is known about the connection to Kafka."""

    is_reached: bool = False
    """Whether the topic is being read."""
    is_complete: bool = False
    """Whether all older records of the window were read."""
    problem: str = ""
    """The reason why the topic is not read."""
