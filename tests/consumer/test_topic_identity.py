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
    """Answers with one topic id after another; an exception is an answer too."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers = list(answers)

    def describe_topics(self, _topics: object) -> dict[str, Future[Any]]:
        answer: Future[Any] = Future()
        result = self.answers.pop(0)
        if isinstance(result, Exception):
            answer.set_exception(result)
        else:
            answer.set_result(SimpleNamespace(topic_id=result))
        return {"sensors": answer}


def checked(*answers: str | Exception) -> None:
    """Run enough checks to compare every answer."""
    now = 0.0
    admin = FakeAdmin(*answers)
    identity = TopicIdentity(cast("AdminClient", admin), "sensors", clock=lambda: now)
    for _ in answers:
        identity.check()
        now += CHECK_INTERVAL_SECONDS
    now = 0.0
    identity.check()  # compares the last answer, sends no request


def test_an_unchanged_topic_passes() -> None:
    checked("id-1", "id-1", "id-1")


def test_a_topic_that_was_created_again_is_refused() -> None:
    with pytest.raises(OffsetsLost, match="deleted and created again"):
        checked("id-1", "id-2", "id-2")


def test_a_broker_without_an_answer_or_an_id_is_ignored() -> None:
    silent = KafkaException(KafkaError(KafkaError._TIMED_OUT))
    no_id = "AAAAAAAAAAAAAAAAAAAAAA"

    checked("id-1", silent, no_id, "id-1")


@pytest.mark.broker
def test_a_real_topic_that_was_created_again_is_detected(kafka: Kafka) -> None:
    now = 0.0
    topic = f"again-{uuid.uuid4().hex[:8]}"
    kafka.create_topic(topic)
    admin = AdminClient({"bootstrap.servers": kafka.address})
    identity = TopicIdentity(admin, topic, clock=lambda: now)

    def known() -> bool:
        nonlocal now
        now += CHECK_INTERVAL_SECONDS
        identity.check()
        return identity._known_id is not None

    wait_until(known, deadline=20, what="the topic's id")
    kafka.delete_topic(topic)
    wait_until(
        lambda: topic not in admin.list_topics(timeout=10).topics, deadline=20, what="the deletion"
    )
    kafka.create_topic(topic)

    def refused() -> bool:
        nonlocal now
        now += CHECK_INTERVAL_SECONDS
        try:
            identity.check()
        except OffsetsLost:
            return True
        return False

    wait_until(refused, deadline=20, what="the refusal")
