"""Connects a replay with the broker."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer

from sensorwatch.common.errors import Fenced, MicroBatchAborted, OutcomeUnknown
from sensorwatch.common.kafka.client_config import (
    consumer_config,
    max_message_bytes,
    producer_config,
    transaction_seconds,
)
from sensorwatch.common.kafka.records import OutgoingMessage
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.state_check import read_topic_config
from sensorwatch.common.kafka.topic_reader import watermarks
from sensorwatch.common.kafka.topics import (
    compacted_topic_plan,
    ensure_topic,
    require_topics,
    topic_partition_counts,
)
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.rows.sources import TIMESTAMP
from sensorwatch.common.runtime.logs import kafka_logger
from sensorwatch.common.runtime.setting_choices import Delivery
from sensorwatch.common.runtime.setting_keys import Settings
from sensorwatch.common.runtime.settings import schema_file
from sensorwatch.consumer.publishing.flushing_outbox import FlushingOutbox
from sensorwatch.consumer.publishing.outbox import CommitPlan, Outbox
from sensorwatch.consumer.publishing.transactional_outbox import TransactionalOutbox
from sensorwatch.dlq.fix_program import FixFailure, FixProgram
from sensorwatch.dlq.letters import DeadLetter, read_letters
from sensorwatch.dlq.replay import ReplayPorts
from sensorwatch.dlq.replay_log import ReplayLog, read_replay_log, replay_log_topic
from sensorwatch.dlq.replayed_record import InputTopic, message_bytes, replayed_record

START_SECONDS = 60.0
"""Longest wait for the end of the open transaction of a killed replay."""
MAX_TRANSACTION_SECONDS = 15.0
CONFIG_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class DeadLetterTopic:
    """The dead letters that a topic had at one time, and its replay log."""

    kafka: Mapping[str, Any]
    name: str
    first_offsets: Mapping[int, int]
    end_offsets: Mapping[int, int]
    has_log: bool

    def letters(self) -> Iterator[DeadLetter]:
        """Yield the dead letters."""
        return read_letters(self.kafka, self.name, end=self.end_offsets)

    def log(self) -> ReplayLog:
        """Return the replay log, which is empty before the first replay."""
        if not self.has_log:
            return ReplayLog({})
        return read_replay_log(self.kafka, replay_log_topic(self.name))


def dead_letter_topic(settings: Settings) -> DeadLetterTopic:
    """Return the dead letters that the topic of the settings has now.

    Raises BrokerUnavailable if the topic cannot be read.
    """
    name = settings.topics.dead_letters
    bounds = watermarks(settings.kafka, name)
    return DeadLetterTopic(
        settings.kafka,
        name,
        {number: first for number, (first, _) in bounds.items()},
        {number: end for number, (_, end) in bounds.items()},
        has_log=replay_log_topic(name) in topic_partition_counts(settings.kafka),
    )


def input_topic(settings: Settings) -> InputTopic:
    """Return the input topic of the settings. Raises BrokerUnavailable if it does not exist."""
    name, path = settings.topics.readings, schema_file(settings)
    return InputTopic(
        name,
        require_topics(settings.kafka, [name])[name],
        keeps_timestamps=path.exists() and TIMESTAMP in load_schema(path).source_names,
        max_message_bytes=min(
            max_message_bytes(settings.kafka), _topic_limit(settings.kafka, name)
        ),
    )


def _topic_limit(kafka: Mapping[str, Any], topic: str) -> int:
    """Return the topic's own limit; a very large number if it cannot be read."""
    try:
        config = read_topic_config(kafka, topic, CONFIG_SECONDS)
    except KafkaException:
        config = {}
    return int(config.get("max.message.bytes", sys.maxsize))


def record_maker(
    topic: InputTopic, program: FixProgram | None
) -> Callable[[DeadLetter], OutgoingMessage | str]:
    """Return the function that prepares the record for a dead letter, with or without a program.

    The function returns a text if there is no record, or if the topic does not accept it.
    """

    def prepare(letter: DeadLetter) -> OutgoingMessage | str:
        if program is None:
            return _accepted(replayed_record(letter, topic), topic)
        value = program.corrected(letter)
        if isinstance(value, FixFailure):
            return f"{program.name}: {value.text}"
        return _accepted(replayed_record(letter, topic, fixed=(program.name, value)), topic)

    return prepare


def _accepted(record: OutgoingMessage, topic: InputTopic) -> OutgoingMessage | str:
    # A message that is too large would abort the transaction, each time.
    size = message_bytes(record)
    if size <= topic.max_message_bytes:
        return record
    return (
        f"it has {size} bytes with its headers, and {topic.name} accepts {topic.max_message_bytes}"
    )


def dry_run_ports(
    dead_letters: DeadLetterTopic, prepare: Callable[[DeadLetter], OutgoingMessage | str]
) -> ReplayPorts:
    """Return ports that publish nothing."""
    return ReplayPorts(
        dead_letters.letters,
        dead_letters.log,
        prepare,
        lambda _messages: None,
        replay_log_topic(dead_letters.name),
    )


@contextmanager
def replay_ports(
    settings: Settings,
    dead_letters: DeadLetterTopic,
    prepare: Callable[[DeadLetter], OutgoingMessage | str],
) -> Iterator[ReplayPorts]:
    """Yield ports that publish, and create the replay log if it does not exist.

    With [consumer] delivery = "exactly_once", they publish in transactions. Raises Fenced if
    another replay starts, and BrokerUnavailable if no transaction can be started.
    """
    log_topic = replay_log_topic(dead_letters.name)
    _create_log(settings, log_topic)
    is_transactional = settings.consumer.delivery is Delivery.EXACTLY_ONCE
    outbox = (_transactional_outbox if is_transactional else _flushing_outbox)(settings, log_topic)
    # A consumer that never joins its group, because the outbox needs the metadata of a group.
    group_handle = Consumer(
        consumer_config(settings.kafka, group=_transactional_id(log_topic)), logger=silent_logger()
    )

    def publish(messages: Sequence[OutgoingMessage]) -> None:
        # No offsets are committed: the replay log in the same transaction is the progress.
        outbox.publish(
            messages, lambda _manifests: CommitPlan([], []), group_handle.consumer_group_metadata()
        )

    complete = replace(dead_letters, has_log=True)
    try:
        deletions = list(complete.log().deletions(log_topic, dead_letters.first_offsets))
        if deletions:
            # The deletion is best-effort; leftovers are harmless.
            with suppress(MicroBatchAborted, OutcomeUnknown):
                publish(deletions)
        yield ReplayPorts(complete.letters, complete.log, prepare, publish, log_topic)
    except Fenced as error:
        raise Fenced(
            f'another `sensorwatch dlq replay` of "{dead_letters.name}" started, and replays the '
            "rest of the dead letters; this one ended. No dead letter was replayed twice"
        ) from error
    finally:
        outbox.close()
        group_handle.close()


def _create_log(settings: Settings, log_topic: str) -> None:
    producer = Producer(producer_config(settings.kafka), logger=silent_logger())
    try:
        ensure_topic(settings.kafka, compacted_topic_plan(log_topic), producer)
    finally:
        producer.close()


def _transactional_id(log_topic: str) -> str:
    """Return the transactional id of every replay of a dead-letter topic.

    It depends only on the topic. So the start of a replay ends the open transaction of an earlier
    one, and the replay log is complete when it is read.
    """
    return f"sensorwatch.{log_topic}"


def _transactional_outbox(settings: Settings, log_topic: str) -> Outbox:
    transactional_id = _transactional_id(log_topic)
    config = producer_config(settings.kafka, transactional_id=transactional_id)
    return TransactionalOutbox(
        lambda: Producer(config, logger=kafka_logger()),
        transactional_id=transactional_id,
        start_seconds=START_SECONDS,
        transaction_seconds=transaction_seconds(config, max_seconds=MAX_TRANSACTION_SECONDS),
        state_topic=log_topic,
    )


def _flushing_outbox(settings: Settings, log_topic: str) -> Outbox:
    return FlushingOutbox(
        Producer(producer_config(settings.kafka), logger=kafka_logger()),
        lambda _offsets: None,
        deadline_seconds=MAX_TRANSACTION_SECONDS,
        state_topic=log_topic,
    )
