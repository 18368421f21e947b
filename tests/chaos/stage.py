"""A run under load: topics, a registry, a producer that never stops, workers, a reader."""

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

from common.detection.detector import Detector
from common.registry.store import Registry
from common.rows.instants import to_text
from tests.brokers.kafka import Kafka
from tests.brokers.processes import Program, wait_until
from tests.builders import ANOMALOUS, DEFAULT_SCHEMA, START, a_candidate
from tests.checker.checker import assert_faultless
from tests.checker.collecting import Run, collect, committed_offsets, input_ends, wait_drained
from tests.checker.history import Reading
from tests.checker.reading import ConcurrentReader

MODEL = "default"
SENSORS = 40
START_SECONDS = 60.0
"""A worker's start on a busy machine, with a group that waits for a dead member's session."""
DRAIN_SECONDS = 90.0


class Load(threading.Thread):
    """Produces sensor rows until stopped: normal, anomalous and broken ones, seeded."""

    def __init__(
        self, address: str, topic: str, *, rate: float, poison: float, seed: int = 1
    ) -> None:
        super().__init__(name="load", daemon=True)
        self._producer = Producer({"bootstrap.servers": address, "linger.ms": 5})
        self._topic = topic
        self._rate = rate
        self._poison = poison
        self._random = np.random.default_rng(seed)
        self._stopping = threading.Event()
        self.sent = 0

    def run(self) -> None:
        while not self._stopping.wait(0.02):
            for _ in range(int(self._rate * 0.02)):
                self._send()
            self._producer.poll(0)

    def burst(self, rows: int) -> None:
        """Send so many rows at once, from the caller's thread (before `start`)."""
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
        sensor = f"sensor-{self.sent % SENSORS:02d}"
        values = ANOMALOUS if self._random.random() < 0.02 else self._random.normal(size=3)
        time = to_text(START + 1_000_000 * self.sent)
        row = {"timestamp": time, "sensor_id": sensor, "n": self.sent}
        row |= {name: float(value) for name, value in zip(("x1", "x2", "x3"), values, strict=True)}
        text = json.dumps(row).encode()
        if self._random.random() < self._poison:
            text = text[: self._random.integers(0, len(text) - 1)]
        while True:
            try:
                return self._producer.produce(self._topic, text, sensor)
            except BufferError:
                self._producer.poll(0.05)


@dataclass
class Stage:
    """Everything that a run needs, of its own on a broker that others may use too."""

    kafka: Kafka
    folder: Path
    partitions: int = 4
    settings: dict[str, str] = field(default_factory=dict)
    """More configuration, as environment variables."""
    client: dict[str, str | int] = field(default_factory=dict)
    """More of the Kafka client's settings for the workers."""

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
        self.workers: list[Program] = []
        self._programs: list[Program] = []

    def add_model(self, *, seed: int) -> str:
        """Register a version (the first becomes champion) and return its id."""
        version = self.registry.register(MODEL, a_candidate(seed=seed), who="test", why="chaos")
        self.detectors[version] = self.registry.load(MODEL, version).detector
        return version

    def promote(self, version: str) -> None:
        """Make a version the champion, while the workers run."""
        self.registry.promote(MODEL, version, who="test", why="chaos", force="test")

    def worker(self, number: int, *options: str) -> Program:
        """Start worker `number`; its transactional id is always the same."""
        program = Program(
            [sys.executable, "-m", "consumer", *options],
            log=self.folder / f"worker-{number}.log",
            environment=self._environment(number),
            folder=self.folder,
        )
        self._programs.append(program)
        return program

    def expect_progress(self, records: int = 1, *, deadline: float = START_SECONDS) -> None:
        """Wait until the group has committed so many more records."""
        before = sum(committed_offsets(self.run).values())
        wait_until(
            lambda: sum(committed_offsets(self.run).values()) >= before + records,
            deadline=deadline,
            what=f"{records} more records to be committed\n{self._logs()}",
            every=0.1,
        )

    @contextmanager
    def load(self, *, rate: float = 2_000, poison: float = 0.02) -> Iterator[ConcurrentReader]:
        """Produce and read concurrently; on a clean exit drain, stop the workers and judge."""
        run = self.run
        load = Load(run.address, run.readings, rate=rate, poison=poison)
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
            self.judge(reader.finish())

    def judge(self, during: Reading) -> None:
        """Fail with every broken promise; also where there was nothing to judge."""
        history = collect(self.run, during, until=input_ends(self.run))
        assert during.events, "the run had no anomaly"
        assert during.dead_letters, "the run had no dead letter"
        assert_faultless(history)

    def close(self) -> None:
        """End every worker."""
        for program in self._programs:
            program.close()

    def _environment(self, number: int) -> dict[str, str]:
        run = self.run
        client = {"session.timeout.ms": 6_000, "heartbeat.interval.ms": 500, **self.client}
        config = self.folder / f"worker-{number}.toml"
        lines = [f'"{key}" = {json.dumps(value)}' for key, value in client.items()]
        config.write_text("[kafka]\n" + "\n".join(lines) + "\n")
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
            "SENSORWATCH__CONSUMER__SNAPSHOT_EVERY_ROWS": "2000",
            **self.settings,
        }

    def _logs(self) -> str:
        return "\n".join(path.read_text()[-1500:] for path in sorted(self.folder.glob("*.log")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
