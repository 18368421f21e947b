"""A consumer group under load: its topics, registry, workers and load producer."""

import json
import os
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
from confluent_kafka import Producer

from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.field_declarations import KeyField
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.scoring.detector import Detector
from tests.brokers.child_processes import ChildProcess, wait_until
from tests.brokers.kafka import Kafka
from tests.checker.checker import assert_faultless
from tests.checker.collecting import (
    Run,
    collect_history,
    committed_accounts,
    committed_offsets,
    input_ends,
    wait_drained,
)
from tests.checker.run_history import ReaderOutput
from tests.checker.score_counts import check_score_counts, committed_score_records
from tests.checker.topic_reader import ConcurrentReader
from tests.forecasts import ROW_INTERVAL, a_forecast_candidate
from tests.reading_builders import DEFAULT_SCHEMA, START_TIME

MODEL_NAME = "default"
SENSOR_COUNT = 40
"""Number of sensors of the load; some are unknown to the model and warm up first."""
TIME_JUMP_US = 3_600_000_000
"""Length of a gap in event time, in microseconds; longer than the model's `max_gap`."""
START_SECONDS = 60.0
"""Deadline for a worker's start. A busy machine delays the start, and so does a killed worker whose
session has not timed out yet."""
DRAIN_SECONDS = 90.0


class LoadProducer(threading.Thread):
    """A thread that produces random rows with a fixed seed until `finish` is called.

    Rows are normal, anomalous, invalid, late or duplicate. Anomalous rows of a sensor come in
    sequences, which make episodes. After every 20,000 rows, there is a gap in event time.
    """

    def __init__(
        self,
        address: str,
        topic: str,
        *,
        rows_per_second: float,
        invalid_share: float,
        seed: int = 1,
    ) -> None:
        super().__init__(name="load", daemon=True)
        # A broker answers the requests of a connection in turn, each after replication. Many small
        # requests would have to wait for each other, so `linger.ms` makes fewer, larger requests.
        config = {"bootstrap.servers": address, "linger.ms": 5, "max.in.flight": 5}
        self._producer = Producer(config)
        self._topic = topic
        self._rate = rows_per_second
        self._invalid_share = invalid_share
        self._rng = np.random.default_rng(seed)
        self._stopping = threading.Event()
        self._anomalous_rows_left = [0] * SENSOR_COUNT
        """For each sensor, the number of further rows that will be anomalous."""
        self._time = START_TIME
        self.sent_rows = 0

    def run(self) -> None:
        while not self._stopping.wait(0.02):
            for _ in range(int(self._rate * 0.02)):
                self._send_row()
            self._producer.poll(0)

    def send_rows(self, rows: int) -> None:
        """Send `rows` rows in the calling thread; call this method before `start`."""
        for _ in range(rows):
            self._send_row()
        assert self._producer.flush(30) == 0

    def finish(self) -> None:
        """Stop the thread and wait until every row is delivered."""
        self._stopping.set()
        if self.is_alive():
            self.join()
        assert self._producer.flush(30) == 0, "rows were not delivered"

    def _send_row(self) -> None:
        self.sent_rows += 1
        self._time += ROW_INTERVAL // SENSOR_COUNT + (self.sent_rows % 20_000 == 0) * TIME_JUMP_US
        sensor = self.sent_rows % SENSOR_COUNT
        random_draw = self._rng.random()
        # A row one interval earlier is a duplicate row; a row five intervals earlier is late.
        time = (
            self._time
            - ROW_INTERVAL * (random_draw < 0.01)
            - 4 * ROW_INTERVAL * (random_draw < 0.005)
        )
        if self._rng.random() < 0.01:
            self._anomalous_rows_left[sensor] = int(self._rng.integers(1, 12))
        signal_values = self._rng.normal(size=3)
        if self._anomalous_rows_left[sensor]:
            self._anomalous_rows_left[sensor] -= 1
            signal_values[sensor % 3] += 12.0
        key = f"sensor-{sensor:02d}"
        row: dict[str, object] = {
            "timestamp": format_instant(time),
            "sensor_id": key,
            "n": self.sent_rows,
        }
        row |= {
            name: float(value)
            for name, value in zip(("x1", "x2", "x3"), signal_values, strict=True)
        }
        payload = json.dumps(row).encode()
        if self._rng.random() < self._invalid_share:
            payload = payload[: self._rng.integers(0, len(payload) - 1)]
        while True:
            try:
                return self._producer.produce(self._topic, payload, key)
            except BufferError:
                self._producer.poll(0.05)


@dataclass
class ChaosCluster:
    """A consumer group on a shared broker, with new topics, a registry and worker processes."""

    kafka: Kafka
    folder: Path
    partitions: int = 4
    settings: dict[str, str] = field(default_factory=dict)
    """Additional settings of the workers, as environment variables."""
    client_settings: dict[str, str | int] = field(default_factory=dict)
    """Additional settings of the workers' Kafka client."""
    groups: dict[str, str] = field(default_factory=dict)
    """`[key.groups]` of the schema of every model version."""

    def __post_init__(self) -> None:
        name_suffix = uuid.uuid4().hex[:8]
        topics = {
            kind: self.kafka.create_topic(
                f"{name_suffix}.{kind}", 1 if kind == "ledger" else self.partitions
            )
            for kind in ("in", "events", "dlq", "ledger")
        }
        for kind in ("state", "scores"):
            self.kafka.create_topic(f"group-{name_suffix}.{kind}", self.partitions)
        self.registry = Registry(self.folder / "registry")
        self.detectors: dict[str, Detector] = {}
        self.policies: dict[str, AlarmPolicy] = {}
        self.add_model(seed=7)
        self.run = Run(
            self.kafka.address,
            f"group-{name_suffix}",
            readings=topics["in"],
            anomalies=topics["events"],
            dead_letters=topics["dlq"],
            ledger=topics["ledger"],
            detectors=self.detectors,
            policies=self.policies,
        )
        self.state_topic = f"{self.run.group}.state"
        self._processes: list[ChildProcess] = []

    def add_model(self, *, seed: int) -> str:
        """Register a model version and return its id; the first version becomes the champion."""
        candidate = a_forecast_candidate(seed=seed)
        if self.groups:
            schema = candidate.schema.with_changes(key=KeyField(groups=tuple(self.groups.items())))
            candidate = replace(candidate, schema=schema)
        version = self.registry.register(MODEL_NAME, candidate, who="test", why="chaos")
        self.detectors[version] = self.registry.load(MODEL_NAME, version).detector
        return version

    def apply_policy(self, policy: AlarmPolicy) -> None:
        """Put a policy in force."""
        self.policies[policy.id] = policy
        policies = PolicyRegistry(self.folder / "registry", MODEL_NAME)
        policies.apply(policy, who="test", why="chaos")

    def promote(self, version: str) -> None:
        """Make a version the champion."""
        self.registry.promote(MODEL_NAME, version, who="test", why="chaos", force="test")

    def start_worker(self, worker_number: int, *options: str) -> ChildProcess:
        """Start a worker; after a restart with the same number its transactional id is the same."""
        process = ChildProcess(
            [
                sys.executable,
                "-m",
                "sensorwatch.consumer",
                *options,
                "--config",
                str(self._write_config(worker_number)),
            ],
            log=self.folder / f"worker-{worker_number}.log",
            environment=self._worker_environment(worker_number),
            folder=self.folder,
        )
        self._processes.append(process)
        return process

    def run_command(self, *arguments: str) -> tuple[int, str]:
        """Run the program `sensorwatch` with the workers' settings; return exit code and output."""
        log = self.folder / f"command-{uuid.uuid4().hex[:8]}.txt"
        process = ChildProcess(
            [
                sys.executable,
                "-m",
                "sensorwatch",
                *arguments,
                "--config",
                str(self._write_config(0)),
            ],
            log=log,
            environment=self._worker_environment(0),
            folder=self.folder,
        )
        self._processes.append(process)
        return process.wait(deadline=START_SECONDS), log.read_text()

    def verify_ledger(self) -> None:
        """Check with `sensorwatch ledger verify` that every outcome and memory is correct."""
        code, output = self.run_command("ledger", "verify")
        assert code == 0, output
        assert "input not retained" not in output, output

    def expect_progress(self, records: int = 1, *, deadline: float = START_SECONDS) -> None:
        """Wait until the group has committed `records` more records."""
        old_count = sum(committed_offsets(self.run).values())
        wait_until(
            lambda: sum(committed_offsets(self.run).values()) >= old_count + records,
            deadline=deadline,
            what=f"{records} more records to be committed\n{self._log_ends()}",
            every=0.1,
        )

    def expect_progress_of_all_partitions(self, *, deadline: float = START_SECONDS) -> None:
        """Wait until the group has committed more records of every partition."""
        old_offsets = committed_offsets(self.run)

        def all_advanced() -> bool:
            new_offsets = committed_offsets(self.run)
            return all(new_offsets[partition] > offset for partition, offset in old_offsets.items())

        wait_until(all_advanced, deadline=deadline, what="progress of all partitions", every=0.2)

    @contextmanager
    def running_load(
        self, *, rows_per_second: float = 1_000, invalid_share: float = 0.02
    ) -> Iterator[ConcurrentReader]:
        """Produce rows in one thread and read the output in another.

        On exit, wait until every row is consumed, stop the workers and check all outcomes.
        """
        run = self.run
        load_producer = LoadProducer(
            run.address, run.readings, rows_per_second=rows_per_second, invalid_share=invalid_share
        )
        load_producer.send_rows(2_000)
        with ConcurrentReader(
            run.address, anomalies=run.anomalies, dead_letters=run.dead_letters
        ) as reader:
            load_producer.start()
            try:
                yield reader
            finally:
                load_producer.finish()
            wait_drained(run, deadline=DRAIN_SECONDS)
            for process in self._processes:
                if process.running:
                    process.terminate(deadline=15)
            self.check_history(reader.finish())

    def check_history(self, output_during_run: ReaderOutput) -> None:
        """Check the outcome of every input record.

        The run must have had anomalies, ended episodes and dead letters.
        """
        history = collect_history(
            self.run, output_during_run, required_offsets=input_ends(self.run)
        )
        assert output_during_run.detections, "the run had no anomaly"
        assert output_during_run.episode_ends, "the run had no episode that ended"
        assert output_during_run.dead_letters, "the run had no dead letter"
        assert_faultless(history)
        score_records = committed_score_records(self.run.address, f"{self.run.group}.scores")
        accounts = {
            partition: account
            for partition, (_, account) in committed_accounts(self.run).items()
            if account is not None
        }
        check_score_counts(score_records, accounts)

    def close(self) -> None:
        """Kill every process."""
        for process in self._processes:
            process.close()

    def _write_config(self, worker_number: int) -> Path:
        settings = {
            "session.timeout.ms": 6_000,
            "heartbeat.interval.ms": 500,
            **self.client_settings,
        }
        config = self.folder / f"worker-{worker_number}.toml"
        toml_lines = [f'"{key}" = {json.dumps(value)}' for key, value in settings.items()]
        config.write_text("[kafka]\n" + "\n".join(toml_lines) + "\n")
        return config

    def _worker_environment(self, worker_number: int) -> dict[str, str]:
        run = self.run
        return {
            "PYTHONPATH": os.pathsep.join([str(DEFAULT_SCHEMA.parents[1])]),
            "SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": run.address,
            "SENSORWATCH__TOPICS__READINGS": run.readings,
            "SENSORWATCH__TOPICS__ANOMALIES": run.anomalies,
            "SENSORWATCH__TOPICS__DEAD_LETTERS": run.dead_letters,
            "SENSORWATCH__TOPICS__LEDGER": run.ledger,
            "SENSORWATCH__REGISTRY__PATH": str(self.folder / "registry"),
            "SENSORWATCH__CONSUMER__GROUP": run.group,
            "SENSORWATCH__CONSUMER__INSTANCE": str(worker_number),
            "SENSORWATCH__CONSUMER__HTTP_PORT": "0",
            "SENSORWATCH__CONSUMER__MAX_ROWS": "500",
            "SENSORWATCH__CONSUMER__SNAPSHOT_EVERY_ROWS": "500",
            **self.settings,
        }

    def _log_ends(self) -> str:
        return "\n".join(path.read_text()[-1500:] for path in sorted(self.folder.glob("*.log")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
