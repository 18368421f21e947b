"""Requests are repeated after transient errors, until a deadline."""

from collections.abc import Callable

import pytest
from confluent_kafka import KafkaError, KafkaException

from sensorwatch.common.kafka.retrying import (
    FIRST_PAUSE_SECONDS,
    LONGEST_PAUSE_SECONDS,
    RetryPolicy,
)


class FakeBroker:
    """A fake broker whose first calls fail with the error codes `codes`; later calls succeed.

    Each call takes `call_seconds` on a fake clock.
    """

    def __init__(self, *codes: int, call_seconds: float = 0.0) -> None:
        self.now = 0.0
        self.pauses: list[float] = []
        self.calls = 0
        self._codes = list(codes)
        self._call_seconds = call_seconds

    def request(self) -> str:
        self.calls += 1
        self.now += self._call_seconds
        if self._codes:
            raise KafkaException(KafkaError(self._codes.pop(0)))
        return "answer"

    def retry_policy(self, seconds: float) -> RetryPolicy:
        return RetryPolicy(seconds, clock=lambda: self.now, sleep=self._sleep())

    def _sleep(self) -> Callable[[float], None]:
        def sleep(seconds: float) -> None:
            self.pauses.append(seconds)
            self.now += seconds

        return sleep


NO_LEADER_CODE = KafkaError.LEADER_NOT_AVAILABLE


def test_a_first_answer_is_returned_without_a_pause() -> None:
    broker = FakeBroker()

    assert broker.retry_policy(10).ask(broker.request) == "answer"
    assert broker.pauses == []


def test_requests_are_repeated_with_growing_pauses_after_transient_errors() -> None:
    broker = FakeBroker(*[NO_LEADER_CODE] * 8)

    assert broker.retry_policy(60).ask(broker.request) == "answer"

    assert broker.calls == 9
    assert broker.pauses[0] == FIRST_PAUSE_SECONDS
    assert broker.pauses == sorted(broker.pauses)
    assert broker.pauses[-1] == LONGEST_PAUSE_SECONDS


def test_at_the_deadline_the_last_error_is_raised() -> None:
    broker = FakeBroker(*[NO_LEADER_CODE] * 1_000, call_seconds=0.5)

    with pytest.raises(KafkaException) as error_info:
        broker.retry_policy(10).ask(broker.request)

    assert error_info.value.args[0].code() == NO_LEADER_CODE
    assert 9 <= broker.now <= 10.5


def test_an_error_that_is_not_transient_is_raised_at_once() -> None:
    broker = FakeBroker(KafkaError.GROUP_AUTHORIZATION_FAILED)

    with pytest.raises(KafkaException):
        broker.retry_policy(10).ask(broker.request)

    assert broker.calls == 1
