"""Repeats calls to the broker while their errors are transient."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from confluent_kafka import KafkaException

from sensorwatch.common.kafka.broker_errors import is_transient

FIRST_PAUSE_SECONDS = 0.05
LONGEST_PAUSE_SECONDS = 1.0

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long a failed call to the broker is repeated; each pause is twice as long as the last."""

    seconds: float
    """No repetition starts later than this time after the first call."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def ask(self, question: Callable[[], T]) -> T:
        """Call `question`, repeat the call while its error is transient, and return the result.

        Raises a KafkaException that is not transient at once, and the last transient KafkaException
        after the time limit.
        """
        deadline = self.clock() + self.seconds
        pause = FIRST_PAUSE_SECONDS
        while True:
            try:
                return question()
            except KafkaException as error:
                if not is_transient(error.args[0]) or self.clock() + pause > deadline:
                    raise
            self.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
