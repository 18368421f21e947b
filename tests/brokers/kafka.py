"""A Kafka broker for tests; the broker may run in a container, from jars or elsewhere."""

import uuid
from functools import cached_property
from typing import Any, Protocol

from confluent_kafka import KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from tests.brokers.child_processes import DeadlineMissed, wait_until

READY_SECONDS = 90


class BrokerMissing(Exception):
    """No broker of this kind is available on this machine; the text says why."""


class BrokerEnded(Exception):
    """The broker's process ended before it was ready."""


class Server(Protocol):
    """A way to run a broker, for example in a container."""

    @property
    def kind(self) -> str:
        """The kind of the server: `address`, `container` or `jars`."""

    @property
    def address(self) -> str:
        """The address for clients: `host:port`."""

    def start(self) -> None:
        """Start the broker with its existing data, without waiting until it is ready."""

    def kill(self) -> None:
        """Kill the broker; its data remains."""

    def close(self) -> None:
        """Stop the broker permanently."""

    @property
    def running(self) -> bool:
        """True until the broker's process has ended."""

    def log_tail(self) -> str:
        """Return the last lines of the broker's log, which explain a failed start."""


class Kafka:
    """A running broker with the administrative calls that tests need."""

    def __init__(self, server: Server, *, replica_count: int = 1) -> None:
        """Use a server; each partition of a new topic gets `replica_count` replicas."""
        self._server = server
        self._replicas = replica_count
        self.kind = server.kind
        self.address = server.address

    def start(self) -> "Kafka":
        """Start the broker and wait until transactions work."""
        self._server.start()
        try:
            wait_ready(self._server)
        except (KafkaException, DeadlineMissed, BrokerEnded) as error:
            log = self._server.log_tail()
            self._server.close()
            raise RuntimeError(f"the broker is not ready: {error}\n{log}") from error
        self.address = self._server.address
        return self

    def kill(self) -> None:
        """Kill the broker (SIGKILL); its data remains."""
        self._server.kill()

    def restart(self) -> None:
        """Start the killed broker with the same address and data, and wait until it is ready."""
        self.start()

    def close(self) -> None:
        """End the broker."""
        self._server.close()

    def create_topic(self, name: str, partitions: int = 1, **config: str) -> str:
        """Create a topic, wait until it can be written to, and return its name.

        `config` has topic settings; `_` replaces `.` in their names, as in `retention_ms="1000"`.
        """
        settings = {key.replace("_", "."): value for key, value in config.items()}
        topic = NewTopic(
            name, num_partitions=partitions, replication_factor=self._replicas, config=settings
        )
        self._admin.create_topics([topic])[name].result(timeout=30)
        wait_until(
            lambda: self._leader_count(name) == partitions, deadline=30, what=f"leaders of {name}"
        )
        return name

    def create_unique_topic(self, name_prefix: str, partitions: int = 1) -> str:
        """Create a topic with a random suffix in its name, and return the name."""
        return self.create_topic(f"{name_prefix}-{uuid.uuid4().hex[:8]}", partitions)

    def delete_topic(self, name: str) -> None:
        """Delete a topic with its records."""
        self._admin.delete_topics([name])[name].result(timeout=30)

    def delete_group(self, group: str) -> None:
        """Delete a consumer group without members, and its committed offsets."""
        self._admin.delete_consumer_groups([group])[group].result(timeout=30)

    @cached_property
    def _admin(self) -> AdminClient:
        # The client is cached, because a deleted client cancels its pending calls.
        return AdminClient({"bootstrap.servers": self.address, "log_level": 0})

    def _leader_count(self, name: str) -> int:
        topic = self._admin.list_topics(name, timeout=10).topics[name]
        return sum(partition.leader >= 0 for partition in topic.partitions.values())


def wait_ready(server: Server) -> None:
    """Wait until the broker answers metadata requests and accepts transactions.

    An open port is not enough.
    """
    config: dict[str, Any] = {"bootstrap.servers": server.address, "log_level": 0}
    wait_until(
        lambda: _has_metadata(server, config), deadline=READY_SECONDS, what="the broker", every=0.1
    )
    producer = Producer({**config, "transactional.id": f"ready-{uuid.uuid4().hex}"})
    wait_until(
        lambda: _has_transactions(producer), deadline=READY_SECONDS, what="init_transactions"
    )


def _has_metadata(server: Server, config: dict[str, Any]) -> bool:
    if not server.running:
        raise BrokerEnded("its process ended")
    try:
        return bool(AdminClient(config).list_topics(timeout=2).brokers)
    except KafkaException:
        return False


def _has_transactions(producer: Producer) -> bool:
    try:
        producer.init_transactions(10)
    except KafkaException as error:
        if not error.args[0].retriable():
            raise
        return False
    return True
