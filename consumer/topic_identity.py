"""Whether the input is still the topic it was: one made anew under the same name is another."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from confluent_kafka import KafkaException, TopicCollection
from confluent_kafka.admin import AdminClient

from sensorwatch.common.errors import OffsetsLost

CHECK_SECONDS = 5.0


class TopicIdentity:
    """Compares the topic's id, which the broker gives it when it is made, every few seconds.

    A consumer of a topic that is deleted and made anew goes on at its old position and would skip
    what the new topic holds below it, without a word.
    """

    def __init__(self, admin: AdminClient, topic: str, *, clock: Callable[[], float]) -> None:
        self._admin = admin
        self._topic = topic
        self._clock = clock
        self._known: str | None = None
        self._asked: Future[Any] | None = None
        self._next = clock()

    def check(self) -> None:
        """Take an answer that has come and ask again when it is time; never waits.

        Raises OffsetsLost where the topic is another one. A broker that cannot tell (no answer, or
        one without topic ids) is no reason to stop.
        """
        if self._asked is not None and self._asked.done():
            answer, self._asked = self._asked, None
            self._compare(_id_in(answer))
        if self._asked is None and self._clock() >= self._next:
            self._next = self._clock() + CHECK_SECONDS
            wanted = TopicCollection([self._topic])
            self._asked = self._admin.describe_topics(wanted)[self._topic]

    def _compare(self, found: str | None) -> None:
        if found is None:
            return
        if self._known is not None and found != self._known:
            raise OffsetsLost(
                f'the topic "{self._topic}" was deleted and made anew while it was read (its id '
                f"was {self._known} and is {found}): offsets committed since then are of the old "
                "one, and what the new one holds below them was not scored. Decide where to begin "
                "in it, set the offsets with kafka-consumer-groups --reset-offsets, and let new "
                "accounts begin there with `sensorwatch state reset`"
            )
        self._known = found


def _id_in(answer: "Future[Any]") -> str | None:
    try:
        found = str(answer.result().topic_id)
    except KafkaException:
        return None
    return None if set(found) <= set("0A-=") else found
