"""A worker detects a topic that was deleted and created again by its changed topic id."""

import uuid
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, cast

import pytest
from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient

from sensorwatch.common.errors import OffsetsLost
from sensorwatch.consumer.topic_identity import CHECK_INTERVAL_SECONDS, TopicIdentity
from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka


class FakeAdmin:
    """An admin client whose requests are answered with `answers`, one answer per request."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)

    def describe_topics(self, _topics: object) -> dict[str, Future[Any]]:
        answer_future: Future[Any] = Future()
        next_answer = self.answers.pop(0)
        if isinstance(next_answer, Exception):
            answer_future.set_exception(next_answer)
        else:
            answer_future.set_result(SimpleNamespace(topic_id=next_answer))
        return {"sensors": answer_future}


def run_checks(*answers: str | Exception) -> None:
    """Check the topic once per answer, and once more to compare the last answer."""
    now = 0.0
    admin = FakeAdmin(*answers)
    identity = TopicIdentity(cast("AdminClient", admin), "sensors", clock=lambda: now)
    for _ in answers:
        identity.check()
        now += CHECK_INTERVAL_SECONDS
    now = 0.0
    identity.check()  # compares the last answer but is too early for a request


def test_an_unchanged_topic_passes() -> None:
    run_checks("id-1", "id-1", "id-1")


def test_a_topic_that_was_created_again_is_refused() -> None:
    with pytest.raises(OffsetsLost, match="deleted and created again"):
        run_checks("id-1", "id-2", "id-2")


def test_a_broker_without_an_answer_or_an_id_is_ignored() -> None:
    timeout_error = KafkaException(KafkaError(KafkaError._TIMED_OUT))
    zero_id = "AAAAAAAAAAAAAAAAAAAAAA"

    run_checks("id-1", timeout_error, zero_id, "id-1")


@pytest.mark.broker
def test_a_real_topic_that_was_created_again_is_detected(kafka: Kafka) -> None:
    now = 0.0
    topic = f"again-{uuid.uuid4().hex[:8]}"
    kafka.create_topic(topic)
    admin = AdminClient({"bootstrap.servers": kafka.address})
    identity = TopicIdentity(admin, topic, clock=lambda: now)

    def id_is_known() -> bool:
        nonlocal now
        now += CHECK_INTERVAL_SECONDS
        identity.check()
        return identity._known_id is not None

    wait_until(id_is_known, deadline=20, what="the topic's id")
    kafka.delete_topic(topic)
    wait_until(
        lambda: topic not in admin.list_topics(timeout=10).topics, deadline=20, what="the deletion"
    )
    kafka.create_topic(topic)

    def is_refused() -> bool:
        nonlocal now
        now += CHECK_INTERVAL_SECONDS
        try:
            identity.check()
        except OffsetsLost:
            return True
        return False

    wait_until(is_refused, deadline=20, what="the refusal")
