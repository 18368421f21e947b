"""Creates the topics, and checks that topics exist."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic

from sensorwatch.common.errors import BrokerUnavailable, UsageError
from sensorwatch.common.kafka.client_config import client_config
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.silent_logger import silent_logger

_DAY_MS = 86_400_000
_WEEK_MS = 7 * _DAY_MS
_MESSAGE_BYTES = "1048588"
"""Largest message of the topics of state and scores: Kafka's default, which exceeds their largest
records. This value is set explicitly, because a cluster may have a lower default."""
_DEFAULT_REPLICATION = -1
"""Replication factor that makes Kafka use the default of the cluster."""
_METADATA_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class TopicPlan:
    """Name, number of partitions and settings of a topic to create."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)
    partition_count_source: str = ""
    """Name of another topic. If it exists, its number of partitions replaces `partitions`."""


class TopicStatus(StrEnum):
    """Whether a planned topic was created or existed already."""

    CREATED = "created"
    EXISTED = "existed already"


def topic_plans(
    *,
    readings: str,
    anomalies: str,
    dead_letters: str,
    ledger: str,
    state: str,
    scores: str | None,
    verdicts: str,
    partitions: int,
) -> tuple[TopicPlan, ...]:
    """Return the plans of the topics; `scores`: None if no score records are published.

    Readings and score records are kept for a week, events and dead letters for a month. The ledger
    is kept without limit, because it is small and proofs need all of its records. The state topic
    is kept without limit too, because a sensor may be silent for any length of time; the worker
    deletes old snapshots itself. The verdict topic keeps the newest verdict on each episode.
    """
    unlimited_retention = {
        "cleanup.policy": "delete",
        "retention.ms": "-1",
        "retention.bytes": "-1",
    }
    scores_config = {
        "cleanup.policy": "delete",
        "retention.ms": str(_WEEK_MS),
        "max.message.bytes": _MESSAGE_BYTES,
    }
    scores_plans = [] if scores is None else [TopicPlan(scores, partitions, scores_config)]
    return (
        TopicPlan(readings, partitions, {"retention.ms": str(_WEEK_MS)}),
        TopicPlan(anomalies, partitions, {"retention.ms": str(30 * _DAY_MS)}),
        TopicPlan(dead_letters, partitions, {"retention.ms": str(30 * _DAY_MS)}),
        # The ledger has one partition, because readers need all of its records in order.
        TopicPlan(ledger, 1, unlimited_retention),
        TopicPlan(
            state, partitions, unlimited_retention | {"max.message.bytes": _MESSAGE_BYTES}, readings
        ),
        *scores_plans,
        compacted_topic_plan(verdicts),
    )


def compacted_topic_plan(name: str) -> TopicPlan:
    """Return the plan of a compacted topic with one partition, so its records have one order."""
    return TopicPlan(name, 1, {"cleanup.policy": "compact"})


def existing_topics(
    kafka: Mapping[str, Any], names: Iterable[str], *, timeout: float = 10.0
) -> set[str]:
    """Return which of the topics exist; raises BrokerUnavailable if no broker answers."""
    return set(names) & _AdminConnection(kafka, timeout).partitions().keys()


def create_topics(
    kafka: Mapping[str, Any],
    plans: Sequence[TopicPlan],
    *,
    replication: int = 1,
    timeout: float = 15.0,
) -> dict[str, TopicStatus]:
    """Create missing topics and return the result for each; existing topics do not change.

    With 3 replicas or more, a write waits until all replicas except one have stored it. Raises
    BrokerUnavailable if no broker answers, and UsageError if the broker refuses to create a topic.
    """
    connection = _AdminConnection(kafka, timeout)
    partition_counts = connection.partitions()
    missing_plans = [plan for plan in plans if plan.name not in partition_counts]
    if missing_plans and not connection.has_controller():
        raise UsageError(
            f"the broker at {connection.address} cannot create topics: it has no controller "
            "(librdkafka's mock cluster, which `sensorwatch demo` uses, has none; it creates a "
            "topic at the first write to it)"
        )
    statuses = dict.fromkeys((plan.name for plan in plans), TopicStatus.EXISTED)
    sized_plans = [
        replace(plan, partitions=partition_counts.get(plan.partition_count_source, plan.partitions))
        for plan in missing_plans
    ]
    for name in connection.create(sized_plans, replication):
        statuses[name] = TopicStatus.CREATED
    return statuses


def ensure_topic(kafka: Mapping[str, Any], plan: TopicPlan, producer: Producer) -> None:
    """Create a topic with the cluster's default replication.

    An existing topic does not change. `producer`: a client that may create topics by a request for
    their metadata, which is the only way on the embedded broker. Raises BrokerUnavailable if no
    broker answers, and UsageError if the broker refuses the topic.
    """
    try:
        create_topics(kafka, [plan], replication=_DEFAULT_REPLICATION)
    except UsageError:
        error = producer.list_topics(plan.name, timeout=_METADATA_SECONDS).topics[plan.name].error
        if error is not None and not error.retriable():
            raise


def require_topics(
    kafka: Mapping[str, Any],
    names: Iterable[str],
    *,
    optional: Iterable[str] = (),
    timeout: float = 10.0,
) -> dict[str, int]:
    """Return the number of partitions of each named topic, and of each `optional` one that exists.

    Raises BrokerUnavailable if a topic of `names` is missing or if no broker answers.
    """
    connection = _AdminConnection(kafka, timeout)
    partition_counts = connection.partitions()
    wanted_names = list(names)
    missing_topics = [name for name in wanted_names if name not in partition_counts]
    if missing_topics:
        missing_names = ", ".join(f'"{name}"' for name in missing_topics)
        raise BrokerUnavailable(
            f"the broker at {connection.address} has no topic {missing_names}: create it with "
            "`sensorwatch topics create`, or correct [topics]"
        )
    wanted_names += [name for name in optional if name in partition_counts]
    return {name: partition_counts[name] for name in wanted_names}


def topic_partition_counts(kafka: Mapping[str, Any], *, timeout: float = 10.0) -> dict[str, int]:
    """Return the number of partitions of every topic that the client may see.

    Raises BrokerUnavailable if no broker answers.
    """
    return _AdminConnection(kafka, timeout).partitions()


def extend_topic(
    kafka: Mapping[str, Any], name: str, partitions: int, *, timeout: float = 15.0
) -> None:
    """Increase a topic's number of partitions to `partitions`.

    Raises UsageError if the broker refuses.
    """
    admin = AdminClient(client_config(kafka), logger=silent_logger())
    new_topics = [NewPartitions(name, partitions)]
    try:
        admin.create_partitions(new_topics, request_timeout=timeout)[name].result()
    except KafkaException as error:
        raise UsageError(
            f'the broker refused {partitions} partitions for the topic "{name}": '
            f"{_error_text(error)}"
        ) from error


class _AdminConnection:
    """An admin client with the cluster's metadata, and the last error that the client reported."""

    def __init__(self, kafka: Mapping[str, Any], timeout: float) -> None:
        self._timeout = timeout
        self._last_client_error = ""
        config: dict[str, Any] = {**client_config(kafka), "error_cb": self._on_client_error}
        self.address = str(config.get("bootstrap.servers", ""))
        try:
            self._admin = AdminClient(config, logger=silent_logger())
        except KafkaException as error:
            raise UsageError(f"[kafka] is refused by librdkafka: {_error_text(error)}") from error
        self._metadata = self._fetch_metadata()

    def partitions(self) -> dict[str, int]:
        return {
            name: len(topic.partitions)
            for name, topic in self._metadata.topics.items()
            if topic.error is None
        }

    def has_controller(self) -> bool:
        # Without a controller, librdkafka would wait for one until its timeout.
        return self._metadata.controller_id in self._metadata.brokers

    def create(self, plans: Sequence[TopicPlan], replication: int) -> list[str]:
        """Create topics; return the names of the topics that did not exist before."""
        new_topics = [_new_topic(plan, replication) for plan in plans]
        created_names = []
        for name, future in self._create_topics(new_topics).items():
            try:
                future.result()
                created_names.append(name)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise UsageError(
                        f'the broker at {self.address} did not create the topic "{name}": '
                        f"{_error_text(error)}"
                    ) from error
        return created_names

    def _create_topics(self, new_topics: list[NewTopic]) -> dict[str, Any]:
        timeouts = {"request_timeout": self._timeout, "operation_timeout": self._timeout}
        return dict(self._admin.create_topics(new_topics, **timeouts)) if new_topics else {}

    def _fetch_metadata(self) -> Any:
        retry = RetryPolicy(self._timeout)
        try:
            return retry.ask(lambda: self._admin.list_topics(timeout=self._timeout))
        except KafkaException as error:
            self._admin.poll(0)  # calls `_on_client_error` with the errors that the client met
            raise BrokerUnavailable(
                f"no broker answers at {self.address} within {self._timeout:g} s "
                f"({self._last_client_error or _error_text(error)}): start one, or correct [kafka] "
                '"bootstrap.servers"'
            ) from error

    def _on_client_error(self, error: KafkaError) -> None:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001 - the client's own name
            self._last_client_error = error.str()


def _new_topic(plan: TopicPlan, replication: int) -> NewTopic:
    replica_config = {"min.insync.replicas": str(max(1, replication - 1))}
    return NewTopic(
        plan.name,
        num_partitions=plan.partitions,
        replication_factor=replication,
        config={**replica_config, **plan.config},
    )


def _error_text(error: KafkaException) -> str:
    cause = error.args[0]
    return str(cause.str()) if isinstance(cause, KafkaError) else str(cause)
