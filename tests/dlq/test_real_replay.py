"""A replay that is killed and started again sends every dead letter exactly once."""

import json
import sys
import uuid
from collections import Counter
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from sensorwatch.common.errors import Fenced
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topic_reader import read_topic
from sensorwatch.common.runtime.settings import load_settings
from sensorwatch.dlq.letter_state import ReplayRules
from sensorwatch.dlq.replay import ReplayPorts, ReplayRequest, replay_letters
from sensorwatch.dlq.replay_connection import (
    dead_letter_topic,
    input_topic,
    record_maker,
    replay_ports,
)
from sensorwatch.dlq.selection import LetterSelection
from tests.brokers.child_processes import ChildProcess, last_lines, wait_until
from tests.brokers.kafka import Kafka
from tests.commands.command_runner import ROOT, run_in_process
from tests.dlq.letter_builders import letter_messages, send, write_config
from tests.kafka.record_builders import StoredRecord

pytestmark = pytest.mark.broker
LETTER_COUNT = 10_000
"""A replay of this number of letters has twenty transactions. The test kills it in one of them."""
PARTITION_COUNT = 2


def dead_letter_topics(kafka: Kafka, count: int) -> str:
    """Create an input topic, and dead letters of its records; return its name."""
    readings = kafka.create_topic(f"replay-{uuid.uuid4().hex[:8]}", PARTITION_COUNT)
    kafka.create_topic(f"{readings}.dlq", PARTITION_COUNT)
    records = [
        StoredRecord(b"{%d" % n, n, n % PARTITION_COUNT, readings, b"pump-%d" % (n % 7))
        for n in range(count)
    ]
    send(kafka.address, letter_messages(records, topic=f"{readings}.dlq"))
    return readings


class TransactionWatch:
    """Sees whether a transaction with records of a topic is open."""

    def __init__(self, kafka: Kafka, topic: str) -> None:
        self._topic = topic
        self._stable, self._written = (
            Consumer(
                {
                    "bootstrap.servers": kafka.address,
                    "group.id": topic,
                    "isolation.level": f"read_{level}",
                },
                logger=silent_logger(),
            )
            for level in ("committed", "uncommitted")
        )

    def is_open_after_a_commit(self) -> bool:
        stable_end = self._end(self._stable)
        return 0 < stable_end < self._end(self._written)

    def close(self) -> None:
        self._stable.close()
        self._written.close()

    def _end(self, consumer: Consumer) -> int:
        """Return the sum of the end offsets; those of `_stable` are below open transactions."""
        partitions = (TopicPartition(self._topic, number) for number in range(PARTITION_COUNT))
        return sum(consumer.get_watermark_offsets(partition, 10)[1] for partition in partitions)


def kill_in_transaction(process: ChildProcess, watch: TransactionWatch) -> bool:
    """Kill a replay in its second or a later transaction; return False if it ended before."""

    def is_frozen_in_transaction() -> bool:
        if not watch.is_open_after_a_commit():
            return False
        process.freeze()
        is_open = watch.is_open_after_a_commit()
        if not is_open:
            process.thaw()
        return is_open

    wait_until(
        lambda: not process.running or is_frozen_in_transaction(),
        deadline=30,
        what="an open transaction",
        every=0.001,
    )
    was_running = process.running
    process.kill()
    return was_running


def test_a_second_replay_shuts_out_the_first_one(kafka: Kafka, tmp_path: Path) -> None:
    readings = dead_letter_topics(kafka, 3)
    config = write_config(tmp_path, kafka.address, readings=readings)
    settings = load_settings(config, environ={}).settings
    request = ReplayRequest(LetterSelection(), ReplayRules(3))

    def connect() -> AbstractContextManager[ReplayPorts]:
        prepare = record_maker(input_topic(settings), None)
        return replay_ports(settings, dead_letter_topic(settings), prepare)

    def replay_twice() -> None:
        with connect() as first:
            with connect() as second:
                assert replay_letters(replace(request, max_letters=2), second).replayed == 2
            replay_letters(request, first)

    with pytest.raises(Fenced, match="another `sensorwatch dlq replay`"):
        replay_twice()

    messages = list(read_topic({"bootstrap.servers": kafka.address}, readings))
    assert len(messages) == 2


def test_a_replay_killed_in_a_transaction_continues_without_loss_or_repetition(
    kafka: Kafka, tmp_path: Path
) -> None:
    readings = dead_letter_topics(kafka, LETTER_COUNT)
    config = write_config(tmp_path, kafka.address, readings=readings)
    watch = TransactionWatch(kafka, readings)
    process = ChildProcess(
        [sys.executable, "-m", "sensorwatch", "dlq", "replay", "--config", str(config)],
        log=tmp_path / "replay.log",
        environment={"PYTHONPATH": str(ROOT)},
        folder=tmp_path,
    )
    assert kill_in_transaction(process, watch), last_lines(process.log)
    watch.close()

    result = run_in_process("dlq", "replay", "--json", "--config", config)

    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report["left"]["replayed"] > 0
    assert report["replayed"] + report["left"]["replayed"] == LETTER_COUNT
    messages = list(read_topic({"bootstrap.servers": kafka.address}, readings))
    assert Counter(message.value() for message in messages) == Counter(
        b"{%d" % n for n in range(LETTER_COUNT)
    )
    assert all(
        message.partition() == int((message.value() or b"")[1:]) % PARTITION_COUNT
        for message in messages
    )
