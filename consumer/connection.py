"""Creates the objects of a worker's loop, connected to the broker and the registry."""

import time
from collections.abc import Container, Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from sensorwatch.common.kafka.broker_errors import is_transient
from sensorwatch.common.kafka.client_config import (
    client_config,
    consumer_config,
    max_message_bytes,
    producer_config,
    transaction_seconds,
)
from sensorwatch.common.kafka.ledger_topic import group_history
from sensorwatch.common.kafka.records import Partition, Record
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.scores_check import check_scores_topic, missing_scores_topic
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.snapshot_text import CHUNK_BYTES, Snapshot
from sensorwatch.common.kafka.state_check import check_state_topics
from sensorwatch.common.kafka.state_topic import OldSnapshotDeleter, read_snapshot
from sensorwatch.common.kafka.topic_reader import read_topic_batches
from sensorwatch.common.kafka.topics import require_topics
from sensorwatch.common.ledger.account import SnapshotRef
from sensorwatch.common.registry.champion import Champion
from sensorwatch.common.registry.policy_follower import PolicyFollower
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.row_executor import RowExecutor
from sensorwatch.common.runtime.fingerprint import fingerprint
from sensorwatch.common.runtime.logs import kafka_logger, logger
from sensorwatch.common.runtime.sensor_settings import silence_rule
from sensorwatch.common.runtime.setting_choices import Delivery
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.consumer.accounts import Accounts
from sensorwatch.consumer.memories import Memories
from sensorwatch.consumer.observation import Observation
from sensorwatch.consumer.ownership import Ownership
from sensorwatch.consumer.publishing.flushing_outbox import FlushingOutbox
from sensorwatch.consumer.publishing.outbox import Outbox
from sensorwatch.consumer.publishing.transactional_outbox import TransactionalOutbox
from sensorwatch.consumer.restoration import MemoryRestorer, RestoreSources
from sensorwatch.consumer.settlement import LedgerContext
from sensorwatch.consumer.snapshot_schedule import SnapshotSchedule
from sensorwatch.consumer.source import KafkaSource
from sensorwatch.consumer.topic_identity import TopicIdentity
from sensorwatch.consumer.wiring import Policy, Wiring

TOPIC_TIMEOUT_SECONDS = 15.0
MAX_OLD_TRANSACTION_SECONDS = 60.0
"""Longest wait for the end of the open transaction of a dead worker or an abandoned producer.

Until that transaction ends, offsets are not stable and a producer with the same id cannot start.
"""

_log = logger("consumer")


def connect(
    settings: Settings,
    worker_number: int,
    accept_rejections_until: Mapping[int, int],
    champion: Champion,
    policies: PolicyFollower,
    observation: Observation,
    row_executor: RowExecutor,
) -> tuple[Wiring, Policy]:
    """Return the connected objects and the policy of a worker.

    The worker joins the group when its source is polled for the first time.

    Raises BrokerUnavailable if the broker or a topic cannot be reached, and the errors of
    `check_state_topics` if the topics do not permit a restore.
    """
    topics, consumer_settings = settings.topics, settings.consumer
    result_topics = [topics.anomalies, topics.dead_letters]
    output_topics = [*result_topics, settings.ledger_topic, settings.state_topic]
    partition_counts = require_topics(
        settings.kafka,
        [topics.readings, *output_topics],
        optional=[settings.scores_topic],
        timeout=TOPIC_TIMEOUT_SECONDS,
    )
    check_state_topics(
        settings.kafka,
        readings_topic=topics.readings,
        state_topic=settings.state_topic,
        snapshot_every_seconds=consumer_settings.snapshot_every_seconds,
        warn=_log.warning,
        timeout=TOPIC_TIMEOUT_SECONDS,
    )
    scores_topic = _scores_topic(settings, partition_counts)
    ledger_context = _ledger_context(
        settings, partition_counts[topics.readings], accept_rejections_until
    )
    consumer, ownership = _create_consumer(settings, observation)
    outbox = create_outbox(settings, worker_number, consumer)
    source = KafkaSource(
        consumer,
        topics.readings,
        ownership,
        incremental=_is_incremental(settings.kafka),
        on_rebalance=observation.show_rebalance,
    )
    admin = AdminClient(client_config(settings.kafka), logger=silent_logger())
    wiring = Wiring(
        source=source,
        ownership=ownership,
        restorer=MemoryRestorer(
            ownership,
            source,
            _restore_sources(settings, ledger_context),
            on_restored=observation.show_restore,
        ),
        champion=champion,
        policies=policies,
        outbox=outbox,
        observation=observation,
        check_input=TopicIdentity(admin, topics.readings, clock=time.monotonic).check,
        snapshot_deleter=OldSnapshotDeleter(admin, settings.state_topic, warn=_log.warning),
        row_executor=row_executor,
    )
    return wiring, Policy(settings, ledger_context, max_message_bytes(settings.kafka), scores_topic)


def _scores_topic(settings: Settings, existing_topics: Container[str]) -> str | None:
    """Return the topic of the score records; None if they are off or if there is no such topic.

    An older version of sensorwatch did not create the topic, and scoring does not depend on it.
    """
    topic = settings.scores_topic
    if not settings.consumer.scores:
        return None
    if topic not in existing_topics:
        _log.warning(missing_scores_topic(topic))
        return None
    check_scores_topic(settings.kafka, topic, warn=_log.warning, timeout=TOPIC_TIMEOUT_SECONDS)
    return topic


def _ledger_context(
    settings: Settings, partitions: int, accept_rejections_until: Mapping[int, int]
) -> LedgerContext:
    return LedgerContext(
        group=settings.consumer.group,
        topic=settings.ledger_topic,
        partitions=partitions,
        fingerprint=fingerprint(),
        accept_rejections_until={
            Partition(settings.topics.readings, number): offset
            for number, offset in accept_rejections_until.items()
        },
        max_sensors=settings.consumer.max_sensors,
        silence_rule=silence_rule(settings.sensors),
    )


def _restore_sources(settings: Settings, ledger_context: LedgerContext) -> RestoreSources:
    """Return the readers of the state topic, the input topic and the registry."""
    kafka, registry = settings.kafka, Registry(settings.registry.path)
    policies = PolicyRegistry(settings.registry.path, settings.registry.model)
    retry = RetryPolicy(settings.consumer.commit_deadline_seconds)

    def read_partition_snapshot(partition: Partition, at: SnapshotRef) -> Snapshot:
        return read_snapshot(
            kafka,
            settings.state_topic,
            at,
            group=ledger_context.group,
            source=partition,
            partitions=ledger_context.partitions,
            retry=retry,
        )

    def read_records(
        partition: Partition, start_offset: int, end_offset: int
    ) -> Iterator[Sequence[Record]]:
        return read_topic_batches(
            kafka,
            partition.topic,
            begin={partition.number: start_offset},
            end={partition.number: end_offset},
            retry=retry,
        )

    def load_detector(version: str, policy: str) -> Detector:
        return registry.load(settings.registry.model, version).detector.under(policies.load(policy))

    return RestoreSources(
        read_partition_snapshot,
        read_records,
        load_detector,
        ledger_context.fingerprint,
        ledger_context.partitions,
    )


def _create_consumer(settings: Settings, observation: Observation) -> tuple[Consumer, Ownership]:
    """Return the consumer, whose statistics update the lag metric, and the ownership."""
    consumer_settings = settings.consumer
    created_accounts: list[Accounts] = []

    def show_statistics(text: str) -> None:
        for accounts in created_accounts:
            observation.show_lag(text, accounts.by_partition)

    consumer = Consumer(
        consumer_config(settings.kafka, group=consumer_settings.group)
        | {"stats_cb": show_statistics, "error_cb": _log_client_error},
        logger=kafka_logger(),
    )
    accounts = Accounts(
        consumer,
        start=consumer_settings.start,
        window_rows=consumer_settings.breaker.window_rows,
        fingerprint=fingerprint(),
        history=lambda: group_history(
            settings.kafka,
            settings.ledger_topic,
            group=consumer_settings.group,
            retry=RetryPolicy(consumer_settings.commit_deadline_seconds),
        ),
        retry=RetryPolicy(
            max(consumer_settings.commit_deadline_seconds, MAX_OLD_TRANSACTION_SECONDS)
        ),
        max_sensors=consumer_settings.max_sensors,
        silence_rule=silence_rule(settings.sensors),
    )
    created_accounts.append(accounts)
    snapshot_schedule = SnapshotSchedule(
        every_rows=consumer_settings.snapshot_every_rows,
        every_seconds=consumer_settings.snapshot_every_seconds,
    )
    return consumer, Ownership(accounts, Memories(), snapshot_schedule)


def create_outbox(settings: Settings, worker_number: int, consumer: Consumer) -> Outbox:
    """Return the outbox of a worker; an older producer with the same id is fenced."""
    consumer_settings = settings.consumer
    if consumer_settings.delivery is Delivery.EXACTLY_ONCE:
        transactional_id = f"{consumer_settings.group}.{consumer_settings.instance}.{worker_number}"
        config = producer_config(settings.kafka, transactional_id=transactional_id)
        return TransactionalOutbox(
            lambda: Producer(config | {"error_cb": _log_client_error}, logger=kafka_logger()),
            transactional_id=transactional_id,
            start_seconds=max(
                consumer_settings.commit_deadline_seconds, MAX_OLD_TRANSACTION_SECONDS
            ),
            transaction_seconds=transaction_seconds(
                config, max_seconds=consumer_settings.commit_deadline_seconds
            ),
            state_topic=settings.state_topic,
            chunk_bytes=_chunk_bytes(settings),
        )

    def commit(offsets: list[TopicPartition]) -> list[TopicPartition] | None:
        return consumer.commit(offsets=offsets, asynchronous=False)

    config = producer_config(settings.kafka) | {"error_cb": _log_client_error}
    return FlushingOutbox(
        Producer(config, logger=kafka_logger()),
        commit,
        deadline_seconds=consumer_settings.commit_deadline_seconds,
        state_topic=settings.state_topic,
        chunk_bytes=_chunk_bytes(settings),
    )


def _chunk_bytes(settings: Settings) -> int:
    """Return the largest size of a snapshot chunk, which leaves room for a message's headers."""
    return min(CHUNK_BYTES, max_message_bytes(settings.kafka) * 9 // 10)


def _is_incremental(kafka: Mapping[str, Any]) -> bool:
    """Return whether a rebalance reports only added and removed partitions.

    This is the case with the protocol of KIP-848 and with the cooperative strategy.
    """
    return (
        str(kafka.get("group.protocol", "classic")).lower() == "consumer"
        or "cooperative" in str(kafka.get("partition.assignment.strategy", "")).lower()
    )


def _log_client_error(error: KafkaError) -> None:
    # Transient errors are not logged here, because librdkafka logs lost connections itself.
    if not is_transient(error):
        _log.warning("kafka client", code=error.name(), why=error.str())
