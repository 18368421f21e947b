"""The loop's parts, connected to the broker."""

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from common.crew import Crew
from common.detection.detector import Detector
from common.detection.ledger import SnapshotAt
from common.messaging.broker_errors import transient
from common.messaging.flushing_outbox import FlushingOutbox
from common.messaging.kafka_config import (
    client_config,
    consumer_config,
    producer_config,
    transaction_seconds,
)
from common.messaging.ledger_topic import group_history
from common.messaging.outbox import Outbox
from common.messaging.quiet import quiet_logger
from common.messaging.reading import read_pieces
from common.messaging.records import Partition, Record
from common.messaging.retrying import RetryPolicy
from common.messaging.snapshot_text import CHUNK_BYTES, Snapshot
from common.messaging.state_check import check_state_topics
from common.messaging.state_topic import OldSnapshots, read_snapshot
from common.messaging.topics import require_topics
from common.messaging.transactional_outbox import TransactionalOutbox
from common.registry.champion import Champion
from common.registry.store import Registry
from common.runtime.fingerprint import fingerprint
from common.runtime.keys import Delivery, Settings
from common.runtime.logs import kafka_logger, logger
from consumer.accounts import Accounts
from consumer.holdings import Holdings
from consumer.loop import Parts
from consumer.memories import Memories
from consumer.observation import Observation
from consumer.publication import LedgerTerms
from consumer.restoration import Stores
from consumer.restoring import Restoring
from consumer.schedule import Schedule
from consumer.source import KafkaSource
from consumer.topic_identity import TopicIdentity

TOPIC_SECONDS = 15.0
STABLE_OFFSETS_SECONDS = 60.0
"""Longer than a dead worker's transaction, whose offsets are not stable before it has ended."""
MESSAGE_BYTES = 1_000_000

_log = logger("consumer")


def connect(
    settings: Settings,
    worker: int,
    accept_rejections_until: Mapping[int, int],
    champion: Champion,
    observation: Observation,
    crew: Crew,
) -> Parts:
    """Connect what worker number `worker` works with; it joins the group with its first poll.

    Raises BrokerUnavailable where a topic or the broker is not there, and what `check_state_topics`
    does where no memory could be restored from the topics.
    """
    topics, options = settings.topics, settings.consumer
    names = [topics.anomalies, topics.dead_letters, settings.ledger_topic, settings.state_topic]
    counts = require_topics(settings.kafka, [topics.readings, *names], timeout=TOPIC_SECONDS)
    check_state_topics(
        settings.kafka,
        readings=topics.readings,
        state=settings.state_topic,
        snapshot_every_seconds=options.snapshot_every_seconds,
        warn=_log.warning,
        timeout=TOPIC_SECONDS,
    )
    terms = LedgerTerms(
        group=options.group,
        topic=settings.ledger_topic,
        partitions=counts[topics.readings],
        fingerprint=fingerprint(),
        accept_rejections_until={
            Partition(topics.readings, number): offset
            for number, offset in accept_rejections_until.items()
        },
        max_sensors=options.max_sensors,
    )
    consumer, holdings = _consumer(settings, observation)
    outbox = outbox_of(settings, worker, consumer)
    source = KafkaSource(
        consumer,
        topics.readings,
        holdings,
        incremental=_incremental(settings.kafka),
        on_rebalance=observation.rebalanced,
    )
    admin = AdminClient(client_config(settings.kafka), logger=quiet_logger())
    return Parts(
        source=source,
        holdings=holdings,
        restoring=Restoring(
            holdings, source, _stores(settings, terms), on_restored=observation.restored
        ),
        champion=champion,
        outbox=outbox,
        observation=observation,
        settings=settings,
        terms=terms,
        max_message_bytes=_message_bytes(settings),
        check_input=TopicIdentity(admin, topics.readings, clock=time.monotonic).check,
        old_snapshots=OldSnapshots(admin, settings.state_topic, warn=_log.warning),
        crew=crew,
    )


def _stores(settings: Settings, terms: LedgerTerms) -> Stores:
    """Where memories are restored from: the state topic, the input, and the registry."""
    kafka, registry = settings.kafka, Registry(settings.registry.path)
    retry = RetryPolicy(settings.consumer.commit_deadline_seconds)

    def snapshot(partition: Partition, at: SnapshotAt) -> Snapshot:
        return read_snapshot(
            kafka,
            settings.state_topic,
            at,
            group=terms.group,
            source=partition,
            partitions=terms.partitions,
            retry=retry,
        )

    def records(partition: Partition, begin: int, end: int) -> Iterator[Sequence[Record]]:
        number = partition.number
        return read_pieces(
            kafka, partition.topic, begin={number: begin}, end={number: end}, retry=retry
        )

    def detector(version: str) -> Detector:
        return registry.load(settings.registry.model, version).detector

    return Stores(snapshot, records, detector, terms.fingerprint, terms.partitions)


def _consumer(settings: Settings, observation: Observation) -> tuple[Consumer, Holdings]:
    """Make the client and the accounts that it loads, which its statistics are read with."""
    options = settings.consumer
    made: list[Accounts] = []

    def statistics(text: str) -> None:
        for accounts in made:
            observation.statistics(text, accounts.held)

    consumer = Consumer(
        consumer_config(settings.kafka, group=options.group)
        | {"stats_cb": statistics, "error_cb": _client_error},
        logger=kafka_logger(),
    )
    accounts = Accounts(
        consumer,
        start=options.start,
        window_rows=options.breaker.window_rows,
        fingerprint=fingerprint(),
        history=lambda: group_history(
            settings.kafka,
            settings.ledger_topic,
            group=options.group,
            retry=RetryPolicy(options.commit_deadline_seconds),
        ),
        retry=RetryPolicy(max(options.commit_deadline_seconds, STABLE_OFFSETS_SECONDS)),
        max_sensors=options.max_sensors,
    )
    made.append(accounts)
    schedule = Schedule(
        every_rows=options.snapshot_every_rows, every_seconds=options.snapshot_every_seconds
    )
    return consumer, Holdings(accounts, Memories(), schedule)


def outbox_of(settings: Settings, worker: int, consumer: Consumer) -> Outbox:
    """Make the outbox of worker number `worker`, which fences whoever had its transactional id."""
    options = settings.consumer
    if options.delivery is Delivery.EXACTLY_ONCE:
        transactional_id = f"{options.group}.{options.instance}.{worker}"
        config = producer_config(settings.kafka, transactional_id=transactional_id)
        return TransactionalOutbox(
            lambda: Producer(config | {"error_cb": _client_error}, logger=kafka_logger()),
            transactional_id=transactional_id,
            deadline_seconds=options.commit_deadline_seconds,
            transaction_seconds=transaction_seconds(
                config, at_most=options.commit_deadline_seconds
            ),
            state_topic=settings.state_topic,
            chunk_bytes=_chunk_bytes(settings),
        )

    def commit(offsets: list[TopicPartition]) -> list[TopicPartition] | None:
        return consumer.commit(offsets=offsets, asynchronous=False)

    config = producer_config(settings.kafka) | {"error_cb": _client_error}
    return FlushingOutbox(
        Producer(config, logger=kafka_logger()),
        commit,
        deadline_seconds=options.commit_deadline_seconds,
        state_topic=settings.state_topic,
        chunk_bytes=_chunk_bytes(settings),
    )


def _chunk_bytes(settings: Settings) -> int:
    """How large a chunk of a snapshot may be, with room for what the client adds to it."""
    return min(CHUNK_BYTES, _message_bytes(settings) * 9 // 10)


def _message_bytes(settings: Settings) -> int:
    return int(settings.kafka.get("message.max.bytes", MESSAGE_BYTES))


def _incremental(kafka: Mapping[str, Any]) -> bool:
    """Whether assignments come as differences (KIP-848, or the cooperative strategy)."""
    return (
        str(kafka.get("group.protocol", "classic")).lower() == "consumer"
        or "cooperative" in str(kafka.get("partition.assignment.strategy", "")).lower()
    )


def _client_error(error: KafkaError) -> None:
    # What matters also comes back from the call that it concerns, and librdkafka logs lost
    # connections itself: this is for the rest.
    if not transient(error):
        _log.warning("kafka client", code=error.name(), why=error.str())
