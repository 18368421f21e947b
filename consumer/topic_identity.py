"""Whether the input is still the topic it was: one made anew under the same name is another."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from sensorwatch.common.errors import OffsetsLost

CHECK_INTERVAL_SECONDS = 5.0


class TopicIdentity:
    """Compares the topic's id, which the broker gives it when it is made, every few seconds.

    A consumer of a topic that is deleted and made anew goes on at its old position and would skip
    what the new topic holds below it, without a word.
    """

    def __init__(self, admin: AdminClient, topic: str, *, clock: Callable[[], float]) -> None:
        self._admin = admin
        self._topic = topic
        self._clock = clock
        self._known_id: str | None = None
        self._pending: Future[Any] | None = None
        self._next_check = clock()

    def check(self) -> None:
        """Take an answer that has come and ask again when it is time; never waits.

        Raises OffsetsLost where the topic is another one. A broker that cannot tell (no answer, or
        one without topic ids) is no reason to stop.
        """
        if self._pending is not None and self._pending.done():
            answer, self._pending = self._pending, None
            self._compare(_topic_id(answer))
        if self._pending is None and self._clock() >= self._next_check:
            self._next_check = self._clock() + CHECK_INTERVAL_SECONDS
            wanted = TopicCollection([self._topic])
            self._pending = self._admin.describe_topics(wanted)[self._topic]

    def _compare(self, topic_id: str | None) -> None:
        if topic_id is None:
            return
        if self._known_id is not None and topic_id != self._known_id:
            raise OffsetsLost(
                f'the topic "{self._topic}" was deleted and made anew while it was read (its id '
                f"was {self._known_id} and is {topic_id}): offsets committed since then are of the old "
                "one, and what the new one holds below them was not scored. Decide where to begin "
                "in it, set the offsets with kafka-consumer-groups --reset-offsets, and let new "
                "accounts begin there with `sensorwatch state reset`"
            )
        self._known_id = topic_id


def _topic_id(answer: "Future[Any]") -> str | None:
    try:
        topic_id = str(answer.result().topic_id)
    except KafkaException:
        return None
    return None if set(topic_id) <= set("0A-=") else topic_id
