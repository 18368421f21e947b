"""Questions are repeated while their errors are transient, up to a deadline."""

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from sensorwatch.common.kafka.retrying import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    RetryPolicy,
)


class Broker:
    """Fails with these codes, one a call, then answers; each call takes `call_seconds`."""

    def __init__(self, *codes: int, call_seconds: float = 0.0) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.asked = 0
        self._codes = list(codes)
        self._call_seconds = call_seconds

    def question(self) -> str:
        self.asked += 1
        self.now += self._call_seconds
        if self._codes:
            raise KafkaException(KafkaError(self._codes.pop(0)))
        return "answer"

    def policy(self, seconds: float) -> RetryPolicy:
        return RetryPolicy(seconds, clock=lambda: self.now, sleep=self._sleep())

    def _sleep(self) -> Callable[[float], None]:
        def sleep(seconds: float) -> None:
            self.pauses.append(seconds)
            self.now += seconds

        return sleep


AWAY = KafkaError.LEADER_NOT_AVAILABLE


def test_an_answer_is_returned_without_a_pause() -> None:
    broker = Broker()

    assert broker.policy(10).ask(broker.question) == "answer"
    assert broker.pauses == []


def test_transient_errors_are_repeated_with_growing_pauses() -> None:
    broker = Broker(*[AWAY] * 8)

    assert broker.policy(60).ask(broker.question) == "answer"

    assert broker.asked == 9
    assert broker.pauses[0] == FIRST_PAUSE_SECONDS
    assert broker.pauses == sorted(broker.pauses)
    assert broker.pauses[-1] == LONGEST_PAUSE_SECONDS


def test_at_the_deadline_the_last_error_is_raised() -> None:
    broker = Broker(*[AWAY] * 1_000, call_seconds=0.5)

    with pytest.raises(KafkaException) as caught:
        broker.policy(10).ask(broker.question)

    assert caught.value.args[0].code() == AWAY
    assert 9 <= broker.now <= 10.5


def test_an_error_that_is_not_transient_is_raised_at_once() -> None:
    broker = Broker(KafkaError.GROUP_AUTHORIZATION_FAILED)

    with pytest.raises(KafkaException):
        broker.policy(10).ask(broker.question)

    assert broker.asked == 1
