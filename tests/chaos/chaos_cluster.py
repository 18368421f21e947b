"""A run under load: topics, a registry, a load producer, workers and a reader."""

import json
import os
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
from confluent_kafka import Producer

from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.scoring.detector import Detector
from tests.brokers.child_processes import Program, wait_until
from tests.brokers.kafka import Kafka
from tests.checker.checker import assert_faultless
from tests.checker.collecting import Run, collect, committed_offsets, input_ends, wait_drained
from tests.checker.run_history import ReaderOutput
from tests.checker.topic_reader import ConcurrentReader
from tests.forecasts import STEP, a_forecast_candidate
from tests.reading_builders import DEFAULT_SCHEMA, START

MODEL = "default"
SENSORS = 40
"""The model knows some of them; the others warm up."""
TIME_JUMP_US = 3_600_000_000
"""Microseconds; much longer than the model's longest gap."""
START_SECONDS = 60.0
"""The start of a worker on a busy machine, in a group that waits for a dead member's session."""
DRAIN_SECONDS = 90.0


class LoadProducer(threading.Thread):
    """Produces seeded rows until stopped, of every kind that a memory treats differently.

    Rows are normal, anomalous in a row (so that there are episodes), invalid, late or duplicate.
    Sometimes there is a gap in time.
    """

    def __init__(
        self, address: str, topic: str, *, rate: float, poison: float, seed: int = 1
    ) -> None:
        super().__init__(name="load", daemon=True)
        # A broker answers the requests of a connection one after the other. With replicas to wait
        # for, requests of a few rows each would come in faster than it answers them.
        config = {"bootstrap.servers": address, "linger.ms": 5, "max.in.flight": 5}
        self._producer = Producer(config)
        self._topic = topic
        self._rate = rate
        self._poison = poison
        self._random = np.random.default_rng(seed)
        self._stopping = threading.Event()
        self._faulty = [0] * SENSORS
        """Number of remaining anomalous rows of each sensor."""
        self._time = START
        self.sent = 0

    def run(self) -> None:
        while not self._stopping.wait(0.02):
            for _ in range(int(self._rate * 0.02)):
                self._send()
            self._producer.poll(0)

    def burst(self, rows: int) -> None:
        """Send `rows` rows in the calling thread, before `start`."""
        for _ in range(rows):
            self._send()
        assert self._producer.flush(30) == 0

    def finish(self) -> None:
        """Stop and wait until everything is delivered."""
        self._stopping.set()
        if self.is_alive():
            self.join()
        assert self._producer.flush(30) == 0, "rows were not delivered"

    def _send(self) -> None:
        self.sent += 1
        self._time += STEP // SENSORS + (self.sent % 20_000 == 0) * TIME_JUMP_US
        sensor = self.sent % SENSORS
        chance = self._random.random()
        # One row earlier is a duplicate of the sensor's newest row; five rows earlier is late.
        time = self._time - STEP * (chance < 0.01) - 4 * STEP * (chance < 0.005)
        if self._random.random() < 0.01:
            self._faulty[sensor] = int(self._random.integers(1, 12))
        values = self._random.normal(size=3)
        if self._faulty[sensor]:
            self._faulty[sensor] -= 1
            values[sensor % 3] += 12.0
        key = f"sensor-{sensor:02d}"
        row: dict[str, object] = {
            "timestamp": format_instant(time),
            "sensor_id": key,
            "n": self.sent,
        }
        row |= {name: float(value) for name, value in zip(("x1", "x2", "x3"), values, strict=True)}
        text = json.dumps(row).encode()
        if self._random.random() < self._poison:
            text = text[: self._random.integers(0, len(text) - 1)]
        while True:
            try:
                return self._producer.produce(self._topic, text, key)
            except BufferError:
                self._producer.poll(0.05)


@dataclass
class ChaosCluster:
    """Unique topics, a registry and workers on a shared broker."""

    kafka: Kafka
    folder: Path
    partitions: int = 4
    settings: dict[str, str] = field(default_factory=dict)
    """Additional settings, as environment variables."""
    client: dict[str, str | int] = field(default_factory=dict)
    """Additional settings of the workers' Kafka client."""

    def __post_init__(self) -> None:
        name = uuid.uuid4().hex[:8]
        topics = {
            kind: self.kafka.create_topic(
                f"{name}.{kind}", 1 if kind == "ledger" else self.partitions
            )
            for kind in ("in", "events", "dlq", "ledger")
        }
        self.kafka.create_topic(f"group-{name}.state", self.partitions)
        self.registry = Registry(self.folder / "registry")
        self.detectors: dict[str, Detector] = {}
        self.add_model(seed=7)
        self.run = Run(
            self.kafka.address,
            f"group-{name}",
            readings=topics["in"],
            anomalies=topics["events"],
            dead_letters=topics["dlq"],
            ledger=topics["ledger"],
            detectors=self.detectors,
        )
        self.state = f"{self.run.group}.state"
        self.workers: list[Program] = []
        self._programs: list[Program] = []

    def add_model(self, *, seed: int) -> str:
        """Register a version (the first becomes champion) and return its id."""
        version = self.registry.register(
            MODEL, a_forecast_candidate(seed=seed), who="test", why="chaos"
        )
        self.detectors[version] = self.registry.load(MODEL, version).detector
        return version

    def promote(self, version: str) -> None:
        """Make a version the champion, while the workers run."""
        self.registry.promote(MODEL, version, who="test", why="chaos", force="test")

    def worker(self, number: int, *options: str) -> Program:
        """Start worker `number`; its transactional id is always the same."""
        program = Program(
            [
                sys.executable,
                "-m",
                "sensorwatch.consumer",
                *options,
                "--config",
                str(self._config(number)),
            ],
            log=self.folder / f"worker-{number}.log",
            environment=self._environment(number),
            folder=self.folder,
        )
        self._programs.append(program)
        return program

    def command(self, *arguments: str) -> tuple[int, str]:
        """Run `sensorwatch` with the workers' settings; return its exit code and output."""
        log = self.folder / f"command-{uuid.uuid4().hex[:8]}.txt"
        program = Program(
            [sys.executable, "-m", "sensorwatch", *arguments, "--config", str(self._config(0))],
            log=log,
            environment=self._environment(0),
            folder=self.folder,
        )
        self._programs.append(program)
        return program.wait(deadline=START_SECONDS), log.read_text()

    def verify(self) -> None:
        """Verify every outcome and every memory with `sensorwatch ledger verify`."""
        code, output = self.command("ledger", "verify")
        assert code == 0, output
        assert "input not retained" not in output, output

    def expect_progress(self, records: int = 1, *, deadline: float = START_SECONDS) -> None:
        """Wait until the group has committed `records` more records."""
        before = sum(committed_offsets(self.run).values())
        wait_until(
            lambda: sum(committed_offsets(self.run).values()) >= before + records,
            deadline=deadline,
            what=f"{records} more records to be committed\n{self._logs()}",
            every=0.1,
        )

    def expect_progress_everywhere(self, *, deadline: float = START_SECONDS) -> None:
        """Wait until the group has committed records of every partition."""
        before = committed_offsets(self.run)

        def moved() -> bool:
            now = committed_offsets(self.run)
            return all(now[partition] > offset for partition, offset in before.items())

        wait_until(moved, deadline=deadline, what="progress of all partitions", every=0.2)

    @contextmanager
    def load(self, *, rate: float = 1_000, poison: float = 0.02) -> Iterator[ConcurrentReader]:
        """Produce and read concurrently; at the end drain, stop the workers and check."""
        run = self.run
        load = LoadProducer(run.address, run.readings, rate=rate, poison=poison)
        load.burst(2_000)
        with ConcurrentReader(
            run.address, anomalies=run.anomalies, dead_letters=run.dead_letters
        ) as reader:
            load.start()
            try:
                yield reader
            finally:
                load.finish()
            wait_drained(run, deadline=DRAIN_SECONDS)
            for program in self._programs:
                if program.running:
                    program.terminate(deadline=15)
            self.check_history(reader.finish())

    def check_history(self, during: ReaderOutput) -> None:
        """Fail with all violations, and if the run had no anomaly, episode or dead letter."""
        history = collect(self.run, during, until=input_ends(self.run))
        assert during.detections, "the run had no anomaly"
        assert during.episode_ends, "the run had no episode that ended"
        assert during.dead_letters, "the run had no dead letter"
        assert_faultless(history)

    def close(self) -> None:
        """End every worker."""
        for program in self._programs:
            program.close()

    def _config(self, number: int) -> Path:
        client = {"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500, **self.client}
        config = self.folder / f"worker-{number}.toml"
        lines = [f'"{key}" = {json.dumps(value)}' for key, value in client.items()]
        config.write_text("[kafka]\n" + "\n".join(lines) + "\n")
        return config

    def _environment(self, number: int) -> dict[str, str]:
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
            "SENSORWATCH__CONSUMER__INSTANCE": str(number),
            "SENSORWATCH__CONSUMER__HTTP_PORT": "0",
            "SENSORWATCH__CONSUMER__MAX_ROWS": "500",
            "SENSORWATCH__CONSUMER__SNAPSHOT_EVERY_ROWS": "500",
            **self.settings,
        }

    def _logs(self) -> str:
        return "\n".join(path.read_text()[-1500:] for path in sorted(self.folder.glob("*.log")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
