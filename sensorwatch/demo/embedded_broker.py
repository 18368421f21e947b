"""A broker inside this process, for demonstrations and quick tests: librdkafka's mock cluster."""

from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException, Producer

from sensorwatch.common.errors import BrokerUnavailable

PARTITIONS: Final = 4  # The mock cluster gives every topic 4 partitions; this cannot be changed.
_TIMEOUT_SECONDS: Final = 10.0


class EmbeddedBroker:
    """A Kafka broker on loopback, in the memory of this process.

    Other processes on the machine may connect to `address`. Its limits:

    * No working transactions: offsets sent in a transaction are discarded, `read_committed` is
      ignored, and no producer is fenced. Use `delivery = "at_least_once"`; delivery on this
      broker is never exactly once.
    * Topics have `PARTITIONS` partitions. A topic is created when a client that may create topics
      first asks for it. There is no CreateTopics call, so `create_topic` does this.
    * A partition keeps 5 MiB or 100,000 message sets, counted compressed; the oldest are dropped
      silently.
    * The first member of a group waits 3 s for others before it gets its partitions.
    * Only clients built on librdkafka are known to work with it.
    """

    def __init__(self) -> None:
        """Start the broker; raises BrokerUnavailable if librdkafka cannot."""
        # The mock cluster dies with the client that owns it, so the client is kept.
        try:
            self._client = Producer({"test.mock.num.brokers": 1, "log_level": 0})
            brokers = self._client.list_topics(timeout=_TIMEOUT_SECONDS).brokers
        except KafkaException as error:
            raise BrokerUnavailable(
                f"the embedded broker did not start: {error}; try again, or give a real broker"
            ) from error
        (broker,) = brokers.values()
        self.address = f"{broker.host}:{broker.port}"

    def create_topic(self, name: str) -> None:
        """Make sure that the topic exists, with `PARTITIONS` partitions."""
        self._client.list_topics(name, timeout=_TIMEOUT_SECONDS)

    def close(self) -> None:
        """Stop the broker and forget everything in it; safe to call twice."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
