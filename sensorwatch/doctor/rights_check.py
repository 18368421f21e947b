"""Checks the rights on topics, group and transactions, without writing a record."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import suppress
from typing import Any

from confluent_kafka import KafkaError, KafkaException, Producer, TopicCollection
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the stubs lack AclOperation
    AclOperation,
    AdminClient,
)

from sensorwatch.common.kafka.client_config import client_config, producer_config
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.runtime.setting_choices import Delivery
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.doctor.finding import Finding, failed, ok, skipped, warning

CALL_SECONDS = 10.0
_READ, _WRITE, _DESCRIBE = AclOperation.READ, AclOperation.WRITE, AclOperation.DESCRIBE
_DELETE = AclOperation.DELETE
Rights = frozenset[AclOperation] | KafkaError
"""The rights on a topic or group, or the error with which the broker answered."""


def check_rights(settings: Settings) -> Iterator[Finding]:
    """Ask the broker which rights this client has. Raises KafkaException."""
    admin = AdminClient(client_config(settings.kafka), logger=silent_logger())
    metadata = admin.list_topics(timeout=CALL_SECONDS)
    if metadata.controller_id not in metadata.brokers:
        yield skipped("rights", "the broker cannot list rights (it is an embedded broker)")
        return
    topics = settings.topics
    needed = {
        topics.readings: (_READ, _DESCRIBE),
        topics.anomalies: (_WRITE, _DESCRIBE),
        topics.dead_letters: (_WRITE, _DESCRIBE),
        settings.ledger_topic: (_READ, _WRITE, _DESCRIBE),
        settings.state_topic: (_READ, _WRITE, _DESCRIBE),
    }
    useful = {
        topics.anomalies: {_READ: "`tail`, `episodes`, `notify` and the page cannot read it"},
        topics.dead_letters: {_READ: "`dlq` and the page cannot read it"},
        settings.state_topic: {_DELETE: "old snapshots stay, so the topic grows"},
    }
    findings = [
        *topic_findings({topic: _topic_rights(admin, topic) for topic in needed}, needed, useful),
        *_group_findings(admin, settings.consumer.group),
        *_transaction_findings(settings),
    ]
    yield from findings or [ok("rights", "all topics, the group and transactions can be used")]


def topic_findings(
    rights: Mapping[str, Rights],
    needed: Mapping[str, Iterable[AclOperation]],
    useful: Mapping[str, Mapping[AclOperation, str]],
) -> Iterator[Finding]:
    """Yield a finding for each topic with missing rights.

    `rights`: the rights by topic. `needed`: the rights without which the
    worker fails. `useful`: further rights, each with what does not work without it.
    """
    for topic, operations in needed.items():
        actual = rights[topic]
        if isinstance(actual, KafkaError):
            yield failed("rights", f'"{topic}": {actual.str()}', "grant DESCRIBE on the topic")
            continue
        missing = [operation.name for operation in operations if operation not in actual]
        if missing:
            yield failed(
                "rights", f'"{topic}": no right to {", ".join(missing)}', "grant it with an ACL"
            )
        for operation, consequence in useful.get(topic, {}).items():
            if operation not in actual:
                yield warning("rights", f'"{topic}": no right to {operation.name}: {consequence}')


def _topic_rights(admin: AdminClient, topic: str) -> Rights:
    return _rights(
        lambda: admin.describe_topics(
            TopicCollection([topic]),
            include_authorized_operations=True,
            request_timeout=CALL_SECONDS,
        )[topic]
    )


def _rights(describe: Callable[[], "Future[Any]"]) -> Rights:
    """Return the rights in a description; a transient error is tried again."""
    try:
        description = RetryPolicy(CALL_SECONDS).ask(lambda: describe().result())
    except KafkaException as error:
        cause: KafkaError = error.args[0]
        return cause
    return frozenset(description.authorized_operations or ())


def _group_findings(admin: AdminClient, group: str) -> Iterator[Finding]:
    actual = _rights(
        lambda: admin.describe_consumer_groups(
            [group], include_authorized_operations=True, request_timeout=CALL_SECONDS
        )[group]
    )
    if isinstance(actual, KafkaError):
        # Kafka 4 returns this error for a group that has never had a member.
        if actual.code() != KafkaError.GROUP_ID_NOT_FOUND:
            yield failed(
                "rights", f'the group "{group}": {actual.str()}', "grant READ on the group"
            )
    elif _READ not in actual:
        yield failed("rights", f'the group "{group}": no right to READ', "grant it with an ACL")


def _transaction_findings(settings: Settings) -> Iterator[Finding]:
    """Start transactions with an id that no worker has, so that no worker is fenced."""
    if settings.consumer.delivery is not Delivery.EXACTLY_ONCE:
        return
    transactional_id = f"{settings.consumer.group}.{settings.consumer.instance}.doctor"
    config = producer_config(settings.kafka, transactional_id=transactional_id)
    producer = Producer(config, logger=silent_logger())
    try:
        producer.init_transactions(CALL_SECONDS)
    except KafkaException as error:
        yield failed(
            "rights",
            f'transactions cannot be started with the id "{transactional_id}": '
            f"{error.args[0].str()}",
            f"grant WRITE and DESCRIBE on transactional ids with the prefix "
            f'"{settings.consumer.group}.", and check that the brokers support transactions',
        )
    finally:
        # After such a failure, the client raises the same error again.
        with suppress(KafkaException):
            producer.close()
