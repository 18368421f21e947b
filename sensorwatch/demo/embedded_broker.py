"""A broker inside this process, for demonstrations and quick tests: librdkafka's mock cluster."""

from types import TracebackType
from typing import Final, Self

from confluent_kafka import KafkaException, Producer

from sensorwatch.common.errors import BrokerUnavailable

PARTITIONS: Final = 4  # the mock cluster gives every topic as many; it cannot be asked for others
_TIMEOUT_SECONDS: Final = 10.0


class EmbeddedBroker:
    """A Kafka broker on loopback that lives in this process's memory, as long as it is open.

    Other processes on the machine may connect to `address`. What it is not:

    * It has no transactions worth the name: offsets sent in a transaction are discarded,
      `read_committed` is ignored and nobody is ever fenced. Serve it with plain commits
      (`delivery = "at_least_once"`) and never claim exactly once on it.
    * Topics have `PARTITIONS` partitions and appear when a client that may create them first asks;
      there is no CreateTopics call, hence `create_topic` here.
    * A partition keeps 5 MiB or 100,000 message sets, counted compressed; the oldest are dropped
      without a word.
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
