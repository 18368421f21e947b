"""Detects that the input topic was deleted and created again under the same name."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from sensorwatch.common.errors import OffsetsLost

CHECK_INTERVAL_SECONDS = 5.0


class TopicIdentity:
    """Compares the topic's current id with its first known id, every few seconds.

    Without this check a consumer would continue in the new topic at its old position, and would
    skip the records below that position without an error.
    """

    def __init__(self, admin: AdminClient, topic: str, *, clock: Callable[[], float]) -> None:
        self._admin = admin
        self._topic = topic
        self._clock = clock
        self._known_id: str | None = None
        self._pending_answer: Future[Any] | None = None
        self._next_check = clock()

    def check(self) -> None:
        """Compare the topic id of an arrived answer, and send the next request; never block.

        Raises OffsetsLost if the topic has another id. The method compares nothing if the broker
        does not answer or does not know topic ids.
        """
        if self._pending_answer is not None and self._pending_answer.done():
            answer, self._pending_answer = self._pending_answer, None
            self._compare(_topic_id(answer))
        if self._pending_answer is None and self._clock() >= self._next_check:
            self._next_check = self._clock() + CHECK_INTERVAL_SECONDS
            topics = TopicCollection([self._topic])
            self._pending_answer = self._admin.describe_topics(topics)[self._topic]

    def _compare(self, topic_id: str | None) -> None:
        if topic_id is None:
            return
        if self._known_id is not None and topic_id != self._known_id:
            raise OffsetsLost(
                f'the topic "{self._topic}" was deleted and created again while it was consumed '
                f"(its id was {self._known_id} and is {topic_id}). The committed offsets belong to "
                "the old topic, and records below them in the new topic were not scored. Decide "
                "where to start in the new topic, set the offsets with kafka-consumer-groups "
                "--reset-offsets, and start new accounts there with `sensorwatch state reset`"
            )
        self._known_id = topic_id


def _topic_id(answer: "Future[Any]") -> str | None:
    """Return the topic id in the answer; None after an error or if the broker has no topic ids."""
    try:
        topic_id = str(answer.result().topic_id)
    except KafkaException:
        return None
    return None if set(topic_id) <= set("0A-=") else topic_id
