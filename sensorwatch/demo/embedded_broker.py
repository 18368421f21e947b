"""A Kafka broker in this process, for demonstrations and quick tests: librdkafka's mock cluster."""

from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException, Producer

from sensorwatch.common.errors import BrokerUnavailable

PARTITIONS: Final = 4  # The mock cluster always gives a topic 4 partitions.
_TIMEOUT_SECONDS: Final = 10.0


class EmbeddedBroker:
    """A Kafka broker on a loopback address, which keeps its records in the memory of this process.

    Other processes on the machine may connect to `address`. The broker has these limits:

    * No working transactions: offsets sent in a transaction are discarded, `read_committed` is
      ignored, and no producer is fenced. Use `delivery = "at_least_once"`; delivery on this
      broker is never exactly once.
    * Topics have `PARTITIONS` partitions. A topic is created when a client that may create topics
      first requests its metadata. There is no CreateTopics call, so `create_topic` requests the
      metadata.
    * A partition keeps 5 MiB of compressed message sets, or 100,000 message sets. Older message
      sets are deleted.
    * The first member of a group waits 3 s for other members before it gets its partitions.
    * Only clients built on librdkafka are known to work with it.
    """

    def __init__(self) -> None:
        """Start the broker. Raises BrokerUnavailable if librdkafka cannot start it."""
        # librdkafka stops the mock cluster when its client is closed, so the client must stay open.
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
        """Create the topic with `PARTITIONS` partitions if it does not exist."""
        self._client.list_topics(name, timeout=_TIMEOUT_SECONDS)

    def close(self) -> None:
        """Stop the broker and delete all its records. A second call does nothing."""
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
