"""The loop's parts, connected to the broker."""

import time
from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from common.messaging.broker_errors import transient
from common.messaging.flushing_outbox import FlushingOutbox
from common.messaging.kafka_config import client_config, consumer_config, producer_config
from common.messaging.ledger_topic import group_history
from common.messaging.outbox import Outbox
from common.messaging.quiet import quiet_logger
from common.messaging.records import Partition
from common.messaging.snapshot_text import CHUNK_BYTES
from common.messaging.topics import require_topics
from common.messaging.transactional_outbox import TransactionalOutbox
from common.registry.champion import Champion
from common.runtime.fingerprint import fingerprint
from common.runtime.keys import Delivery, Settings
from common.runtime.logs import kafka_logger, logger
from consumer.accounts import Accounts
from consumer.loop import Parts
from consumer.observation import Observation
from consumer.settlement import LedgerTerms
from consumer.source import KafkaSource
from consumer.topic_identity import TopicIdentity

TOPIC_SECONDS = 15.0
MESSAGE_BYTES = 1_000_000

_log = logger("consumer")


def connect(
    settings: Settings,
    worker: int,
    accept_rejections_until: Mapping[int, int],
    champion: Champion,
    observation: Observation,
) -> Parts:
    """Connect what worker number `worker` works with; it joins the group with its first poll.

    Raises BrokerUnavailable where a topic or the broker is not there.
    """
    topics, options = settings.topics, settings.consumer
    names = [topics.readings, topics.anomalies, topics.dead_letters, settings.ledger_topic]
    require_topics(settings.kafka, names, timeout=TOPIC_SECONDS)
    consumer, accounts = _consumer(settings, observation)
    outbox = _outbox(settings, worker, consumer)
    source = KafkaSource(
        consumer,
        topics.readings,
        accounts,
        incremental=_incremental(settings.kafka),
        on_rebalance=observation.rebalanced,
    )
    terms = LedgerTerms(
        group=options.group,
        topic=settings.ledger_topic,
        every_rows=options.ledger_every_rows,
        fingerprint=fingerprint(),
        accept_rejections_until={
            Partition(topics.readings, number): offset
            for number, offset in accept_rejections_until.items()
        },
    )
    admin = AdminClient(client_config(settings.kafka), logger=quiet_logger())
    identity = TopicIdentity(admin, topics.readings, clock=time.monotonic)
    return Parts(
        source,
        accounts,
        champion,
        outbox,
        observation,
        settings,
        terms,
        _message_bytes(settings),
        identity.check,
    )


def _consumer(settings: Settings, observation: Observation) -> tuple[Consumer, Accounts]:
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
        history=lambda: group_history(settings.kafka, settings.ledger_topic, group=options.group),
    )
    made.append(accounts)
    return consumer, accounts


def _outbox(settings: Settings, worker: int, consumer: Consumer) -> Outbox:
    options = settings.consumer
    if options.delivery is Delivery.EXACTLY_ONCE:
        transactional_id = f"{options.group}.{options.instance}.{worker}"
        config = producer_config(settings.kafka, transactional_id=transactional_id)
        return TransactionalOutbox(
            lambda: Producer(config | {"error_cb": _client_error}, logger=kafka_logger()),
            transactional_id=transactional_id,
            deadline_seconds=options.commit_deadline_seconds,
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
