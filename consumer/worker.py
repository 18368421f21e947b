"""One worker: everything connected, from settings to the running loop."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from prometheus_client import CollectorRegistry

from common.errors import ModelRefused, SettingsError
from common.messaging.broker_errors import transient
from common.messaging.flushing_outbox import FlushingOutbox
from common.messaging.kafka_config import client_config, consumer_config, producer_config
from common.messaging.ledger_topic import group_history
from common.messaging.outbox import Outbox
from common.messaging.quiet import quiet_logger
from common.messaging.records import Partition
from common.messaging.topics import require_topics
from common.messaging.transactional_outbox import TransactionalOutbox
from common.registry.champion import Champion
from common.registry.manifest import ModelVersion
from common.registry.store import Registry
from common.runtime.build import project_version
from common.runtime.fingerprint import fingerprint
from common.runtime.health import HealthServer, serve_health
from common.runtime.keys import Delivery, Settings
from common.runtime.logs import kafka_logger, logger
from common.runtime.metrics import ConsumerMetrics, ModelMetrics
from consumer.accounts import Accounts
from consumer.loop import Parts, run
from consumer.observation import Observation
from consumer.settlement import LedgerTerms
from consumer.source import KafkaSource
from consumer.stopping import Stopping
from consumer.topic_identity import TopicIdentity

TOPIC_SECONDS = 15.0
MESSAGE_BYTES = 1_000_000
PORT_SECONDS = 2.0
"""Beyond shutdown_seconds: a worker whose supervisor was killed has then left its port."""
PORT_POLL_SECONDS = 0.2

_log = logger("consumer")


def work(
    settings: Settings,
    number: int | None,
    accept_rejections_until: Mapping[int, int],
    stopping: Stopping,
) -> None:
    """Run a worker until it is asked to stop; `number`: of those under a supervisor, if any.

    Raises what `common/errors.py` names, each with its exit code.
    """
    worker = number or 0
    consumer_settings, topic = settings.consumer, settings.topics.readings
    registry = CollectorRegistry()
    metrics = ConsumerMetrics(registry, topic=topic)
    champion = follow_champion(settings, metrics.model)
    observation = Observation(
        metrics, topic=topic, stuck_after_seconds=3 * consumer_settings.commit_deadline_seconds + 30
    )
    patience = 0.0 if number is None else consumer_settings.shutdown_seconds + PORT_SECONDS
    health = _serve(settings, worker, registry, observation, patience)
    _log.info(
        "worker starts",
        worker=worker,
        health=health.address,
        sensorwatch=project_version(),
        group=consumer_settings.group,
        topic=topic,
        delivery=consumer_settings.delivery.value,
    )
    stopping.gently(consumer_settings.shutdown_seconds)
    try:
        _connect_and_run(settings, worker, accept_rejections_until, champion, observation, stopping)
    finally:
        health.close()
    _log.info("worker stopped", worker=worker)


def _serve(
    settings: Settings,
    worker: int,
    registry: CollectorRegistry,
    observation: Observation,
    patience: float,
) -> HealthServer:
    """Serve health and metrics; wait `patience` seconds for a port that is still taken."""
    host, port = settings.consumer.http_host, settings.consumer.http_port
    deadline = time.monotonic() + patience
    while True:
        try:
            return serve_health(
                host,
                port and port + worker,
                registry=registry,
                live=observation.live,
                ready=observation.ready,
            )
        except SettingsError as error:
            if time.monotonic() >= deadline:
                raise SettingsError(
                    f"{error}. Another worker may still be running there: look for it, and stop it"
                ) from error
        time.sleep(PORT_POLL_SECONDS)


def follow_champion(settings: Settings, metrics: ModelMetrics) -> Champion:
    """Load the champion and say on the metrics and in the log whenever it changes.

    Raises ModelRefused where there is none that can be used.
    """

    def loaded(version: ModelVersion) -> None:
        schema = version.detector.schema.fingerprint
        metrics.loaded(
            model=settings.registry.model,
            version=version.detector.version,
            schema=schema,
            at=time.time(),
        )
        _log.info("model loaded", version=version.detector.version, schema=schema)

    def refused(error: ModelRefused) -> None:
        metrics.reload_last_success.set(0)
        _log.error("model refused, the last good one goes on", why=str(error))

    return Champion(
        Registry(settings.registry.path),
        settings.registry.model,
        on_loaded=loaded,
        on_refused=refused,
    )


def _connect_and_run(
    settings: Settings,
    worker: int,
    accept_rejections_until: Mapping[int, int],
    champion: Champion,
    observation: Observation,
    stopping: Callable[[], bool],
) -> None:
    topics, options = settings.topics, settings.consumer
    names = [topics.readings, topics.anomalies, topics.dead_letters, settings.ledger_topic]
    require_topics(settings.kafka, names, timeout=TOPIC_SECONDS)
    held: dict[str, Accounts] = {}

    def statistics(text: str) -> None:
        if "accounts" in held:
            observation.statistics(text, held["accounts"].held)

    consumer = Consumer(
        consumer_config(settings.kafka, group=options.group)
        | {"stats_cb": statistics, "error_cb": _client_error},
        logger=kafka_logger(),
    )
    accounts = held["accounts"] = Accounts(
        consumer,
        start=options.start,
        window_rows=options.breaker.window_rows,
        fingerprint=fingerprint(),
        history=lambda: group_history(settings.kafka, settings.ledger_topic, group=options.group),
    )
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
    limit = int(settings.kafka.get("message.max.bytes", MESSAGE_BYTES))
    admin = AdminClient(client_config(settings.kafka), logger=quiet_logger())
    identity = TopicIdentity(admin, topics.readings, clock=time.monotonic)
    parts = Parts(
        source, accounts, champion, outbox, observation, settings, terms, limit, identity.check
    )
    try:
        run(parts, stopping)
    finally:
        outbox.close()
        source.close()


def _outbox(settings: Settings, worker: int, consumer: Consumer) -> Outbox:
    options = settings.consumer
    if options.delivery is Delivery.EXACTLY_ONCE:
        transactional_id = f"{options.group}.{options.instance}.{worker}"
        config = producer_config(settings.kafka, transactional_id=transactional_id)
        return TransactionalOutbox(
            lambda: Producer(config | {"error_cb": _client_error}, logger=kafka_logger()),
            transactional_id=transactional_id,
            deadline_seconds=options.commit_deadline_seconds,
        )

    def commit(offsets: list[TopicPartition]) -> list[TopicPartition] | None:
        return consumer.commit(offsets=offsets, asynchronous=False)

    config = producer_config(settings.kafka) | {"error_cb": _client_error}
    return FlushingOutbox(
        Producer(config, logger=kafka_logger()),
        commit,
        deadline_seconds=options.commit_deadline_seconds,
    )


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
