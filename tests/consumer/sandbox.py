"""Gives a test its own topics, model and worker processes on a shared broker."""

import json
import re
import sys
import urllib.error
import urllib.request
import uuid
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from confluent_kafka import Consumer, KafkaException, Message, Producer, TopicPartition

from sensorwatch.common.kafka.broker_errors import is_transient
from sensorwatch.common.kafka.ledger_text import LedgerRecord, from_metadata
from sensorwatch.common.kafka.ledger_topic import read_ledger
from sensorwatch.common.kafka.records import header_value, received_at
from sensorwatch.common.kafka.score_records import decode_scores
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topic_reader import read_topic
from sensorwatch.common.ledger.account import Account, advance_account, open_account
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.scoring.processing import process
from sensorwatch.common.scoring.score_aggregates import ScoreAggregates, merge_aggregates
from sensorwatch.common.scoring.score_aggregation import aggregate_scores
from tests.brokers.child_processes import ChildProcess, last_lines, wait_until
from tests.reading_builders import a_candidate
from tests.scoring.plain_aggregates import assert_same_aggregates

REPOSITORY_ROOT = Path(__file__).parents[2]
START_SECONDS = 40.0
MODEL_NAME = "default"
PARTITION_COUNT = 4


class Sandbox:
    """A consumer group, topic names and a registry for one test; the caller creates the topics."""

    def __init__(self, address: str, folder: Path) -> None:
        self.kafka: dict[str, Any] = {"bootstrap.servers": address}
        self.folder = folder
        self.readings = f"readings-{uuid.uuid4().hex[:8]}"
        self.group = f"watch-{self.readings}"
        self.anomalies = f"{self.readings}.anomalies"
        self.dead_letters = f"{self.readings}.dlq"
        self.ledger = f"{self.group}.ledger"
        self.state_topic = f"{self.group}.state"
        self.scores_topic = f"{self.group}.scores"
        self.registry = Registry(folder / "registry")
        self._started = 0
        self._producer = Producer({**self.kafka, "linger.ms": 1}, logger=silent_logger())

    @property
    def topics(self) -> dict[str, int]:
        """The number of partitions of each topic, by topic name."""
        names = (self.anomalies, self.dead_letters, self.ledger, self.scores_topic)
        output_topics = dict.fromkeys(names, 1)
        return {self.readings: PARTITION_COUNT, self.state_topic: PARTITION_COUNT, **output_topics}

    def with_model(self) -> "Sandbox":
        """Register a small model as the champion."""
        self.registry.register(MODEL_NAME, a_candidate(), who="test", why="test")
        return self

    def environment(self, **settings: object) -> dict[str, str]:
        """Return settings as environment variables.

        For example, `consumer__max_rows=100` sets `max_rows` in the section `consumer`.
        """
        values: dict[str, object] = {
            "topics__readings": self.readings,
            "topics__anomalies": self.anomalies,
            "topics__dead_letters": self.dead_letters,
            "registry__path": self.folder / "registry",
            "registry__model": MODEL_NAME,
            "consumer__group": self.group,
            "consumer__http_port": 0,
            "log__format": "json",
            **{f"kafka__{name.replace('.', '_')}": value for name, value in self.kafka.items()},
            **settings,
        }
        return {f"SENSORWATCH__{name.upper()}": str(values[name]) for name in values}

    def start(self, *options: str, **settings: object) -> "Worker":
        """Start a worker process; for `settings` see `environment`."""
        self._started += 1
        process = ChildProcess(
            [sys.executable, "-m", "sensorwatch.consumer", *options],
            log=self.folder / f"worker-{self._started}.log",
            environment={**self.environment(**settings), "PYTHONPATH": str(REPOSITORY_ROOT)},
            folder=self.folder,
        )
        return Worker(process)

    def send_payloads(self, payloads: Sequence[bytes], *, partition: int | None = None) -> None:
        """Produce payloads to all partitions in turn, or to one partition."""
        for number, payload in enumerate(payloads):
            target_partition = number % PARTITION_COUNT if partition is None else partition
            self._producer.produce(self.readings, payload, b"key", target_partition)
        assert self._producer.flush(20) == 0

    def read(self, topic: str) -> list[Message]:
        """Return the committed records of a topic."""
        return list(read_topic(self.kafka, topic))

    def ledger_records(self) -> list[LedgerRecord]:
        """Return the group's ledger records."""
        return read_ledger(self.kafka, self.ledger, group=self.group)

    def committed_offsets(self) -> dict[int, TopicPartition]:
        """Return the group's committed offsets, with their metadata."""
        partitions = [TopicPartition(self.readings, number) for number in range(PARTITION_COUNT)]
        try:
            return {
                partition.partition: partition
                for partition in self._offset_reader.committed(partitions, 10)
            }
        except KafkaException as error:
            if not is_transient(error.args[0]):
                raise
            return {}

    @cached_property
    def _offset_reader(self) -> Consumer:
        # A new client needs 0.1 s for its connections. This client does not join the group.
        config = {**self.kafka, "group.id": self.group, "reconnect.backoff.max.ms": 500}
        return Consumer(config, logger=silent_logger())

    def accounts(self) -> dict[int, Account]:
        """Return the account in the metadata of each committed offset, by partition."""
        accounts = {}
        for number, committed_offset in self.committed_offsets().items():
            account = from_metadata(committed_offset.metadata, committed_offset.offset)
            if account is not None:
                accounts[number] = account
        return accounts

    def consumed_count(self) -> int:
        """Return the number of consumed records, summed over all accounts."""
        return sum(account.consumed for account in self.accounts().values())

    def wait_consumed(self, record_count: int, worker: "Worker") -> None:
        """Wait until the accounts count this number of consumed records."""
        wait_until(
            lambda: self.consumed_count() >= record_count or not worker.process.running,
            deadline=START_SECONDS,
            what=f"{record_count} records consumed",
            every=0.1,
        )
        assert self.consumed_count() == record_count, last_lines(worker.process.log)

    def wait_some_consumed(self, record_count: int, worker: "Worker") -> None:
        """Wait until the accounts count at least this number of consumed records."""
        wait_until(
            lambda: self.consumed_count() >= record_count or not worker.process.running,
            deadline=START_SECONDS,
            what=f"{record_count} records consumed",
            every=0.02,
        )
        assert worker.process.running, last_lines(worker.process.log)

    def check_accounts(self) -> None:
        """Check accounts and output against a second scoring of the input.

        Compares the counts and digests of the accounts, the ids of events and dead letters, and the
        aggregates in the score records.
        """
        score_records = [decode_scores(message.value()) for message in self.read(self.scores_topic)]
        messages = self.read(self.readings)
        accounts = self.accounts()
        event_ids, dead_letter_ids = [], []
        for number in sorted(accounts):
            account = accounts[number]
            consumed_messages = [
                m
                for m in messages
                if m.partition() == number and _offset_of(m) < account.next_offset
            ]
            expected_account, anomalous_offsets, rejected_offsets, aggregates = _score_again(
                consumed_messages, self.registry
            )
            parts = [r.aggregates for r in score_records if r.partition.number == number]
            assert_same_aggregates(merge_aggregates(parts), aggregates)
            assert account.adds_up
            assert _account_counts(account) == _account_counts(expected_account), number
            event_ids += [f"{self.readings}-{number}-{offset}" for offset in anomalous_offsets]
            dead_letter_ids += [f"{self.readings}-{number}-{offset}" for offset in rejected_offsets]
        assert sorted(_header_values(self.read(self.anomalies), "ce_id")) == sorted(event_ids)
        assert sorted(_header_values(self.read(self.dead_letters), "__dlq.id")) == sorted(
            dead_letter_ids
        )


class Worker:
    """A running worker process."""

    def __init__(self, process: ChildProcess) -> None:
        self.process = process

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.close()

    def wait_ready(self) -> "Worker":
        """Wait until /readyz answers 200."""
        wait_until(
            lambda: self.status("/readyz") == 200 or not self.process.running,
            deadline=START_SECONDS,
            what="ready",
            every=0.05,
        )
        assert self.process.running, last_lines(self.process.log)
        return self

    def status(self, path: str) -> int:
        """Return the HTTP status of a path of the worker's health server; 0 means no answer."""
        address = self._address()
        if address is None:
            return 0
        try:
            with urllib.request.urlopen(address + path, timeout=5) as response:
                return int(response.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def metric(self, sample: str) -> float:
        """Return a value of /metrics; `sample` is the name of the metric with its labels."""
        with urllib.request.urlopen(f"{self._address()}/metrics", timeout=5) as response:
            text = response.read().decode()
        sample_match = re.search(rf"^{re.escape(sample)} (\S+)$", text, re.MULTILINE)
        assert sample_match is not None, f"no sample {sample}"
        return float(sample_match[1])

    def log(self) -> str:
        """Return the log of the worker."""
        return self.process.log.read_text(errors="replace")

    def _address(self) -> str | None:
        for line in self.log().splitlines():
            if '"health"' in line:
                return str(json.loads(line)["health"])
        return None


def _score_again(
    messages: Sequence[Message], registry: Registry
) -> tuple[Account, list[int], list[int], ScoreAggregates]:
    detector = registry.load(MODEL_NAME).detector
    outcome = process(
        [message.value() for message in messages],
        detector,
        detector.empty_memory(),
        positions=np.asarray([_offset_of(message) for message in messages], dtype=np.int64),
        received=[received_at(message) for message in messages],
    )
    offsets = [_offset_of(message) for message in messages]
    account = advance_account(
        open_account(0, model_version=detector.version, fingerprint=""),
        offsets=np.asarray(offsets, dtype=np.int64),
        kinds=outcome.kinds,
        reasons=outcome.reasons,
        score_bits=outcome.score_bits,
        model_version=detector.version,
    )
    anomalous_offsets = outcome.readings.index[outcome.detections.is_anomaly]
    rejected_offsets = [rejection.index for rejection in outcome.rejections]
    return (
        account,
        [offsets[i] for i in anomalous_offsets],
        [offsets[i] for i in rejected_offsets],
        aggregate_scores(detector, outcome),
    )


def _account_counts(account: Account) -> tuple[int, ...]:
    return (
        account.next_offset,
        account.consumed,
        account.normal,
        account.anomalies,
        account.dead_letters,
        account.digest,
    )


def _offset_of(message: Message) -> int:
    offset = message.offset()
    assert offset is not None
    return offset


def _header_values(messages: Sequence[Message], name: str) -> list[str]:
    return [(header_value(message, name) or b"").decode() for message in messages]
