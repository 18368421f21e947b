"""The resources of the speed benchmarks: a broker, filled topics and trained models.

Each is created at its first use.
"""

import os
import tempfile
import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from benchmarks.speed.benchmark_broker import running_broker
from benchmarks.speed.benchmark_models import TrainedModels, train
from benchmarks.speed.observed_worker import WorkerJob
from benchmarks.speed.topic_loading import LoadedTopic, load_topic
from tests.brokers.kafka import Kafka

FEATURE_KINDS = ("plain", "forecast")
MANY_SENSORS = 20_000
"""Number of sensors from which on only the default detector is trained."""


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Options of the command."""

    rows: int = 1_000_000
    """Number of rows in the topic that is drained."""
    rounds: int = 3
    few_sensors: int = 1_000
    many_sensors: int = 10_000
    """Number of sensors in the benchmarks with many sensors."""
    rate: int = 50_000
    """Rows per second in the latency benchmark."""
    seconds: float = 10.0
    memory_rows: int = 2_000_000
    """Number of rows in the benchmark of memory growth."""
    peer_share: float = 0.5
    """Share of `Peer.rows` that another framework drains; 1 in a full run."""
    environments: Path = field(default_factory=lambda: Path(".cache/peers").absolute())


@dataclass(frozen=True, slots=True)
class DrainSetup:
    """A broker, a filled topic, and the models for its sensors."""

    kafka: Kafka
    loaded_topic: LoadedTopic
    models: TrainedModels

    @property
    def config(self) -> dict[str, Any]:
        """Settings of Kafka clients for this broker."""
        return broker_config(self.kafka)

    def job(
        self, group_prefix: str, model: str, settings: Mapping[str, object] | None = None
    ) -> WorkerJob:
        """Return a job that drains the topic with a model, in a new consumer group."""
        return WorkerJob(
            self.config,
            self.loaded_topic.topic,
            self.loaded_topic.partitions,
            f"{group_prefix}-{uuid.uuid4().hex[:8]}",
            self.models.registry,
            model,
            settings or {},
        )


def broker_config(kafka: Kafka) -> dict[str, Any]:
    """Return the settings of Kafka clients for a broker."""
    return {"bootstrap.servers": kafka.address}


class Testbed:
    """The broker, the filled topics and the trained models of one run of the benchmarks."""

    def __init__(self, options: RunOptions) -> None:
        self.options = options
        self._stack = ExitStack()
        self._models_by_sensors: dict[int, TrainedModels] = {}
        self._loaded_topics: dict[tuple[int, int, int], LoadedTopic] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    @cached_property
    def kafka(self) -> Kafka:
        """The broker; it is started at the first use."""
        return self._stack.enter_context(running_broker())

    @cached_property
    def folder(self) -> Path:
        """A temporary folder that is deleted at the end of the run."""
        return Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-speed-")))

    def trained_models(self, sensors: int) -> TrainedModels:
        """Return the models for `sensors` sensors; the first call trains the models."""
        if sensors not in self._models_by_sensors:
            print(f"training on {sensors} sensors ...", flush=True)
            kinds = FEATURE_KINDS[1:] if sensors >= MANY_SENSORS else FEATURE_KINDS
            self._models_by_sensors[sensors] = train(self.folder, sensors=sensors, features=kinds)
        return self._models_by_sensors[sensors]

    def drain_setup(self, *, sensors: int, rows: int, partitions: int = 1) -> DrainSetup:
        """Return a topic of `rows` rows and its models; equal arguments give the same topic."""
        models, key = self.trained_models(sensors), (sensors, rows, partitions)
        if key not in self._loaded_topics:
            self._loaded_topics[key] = self.load_new_topic(sensors, rows, partitions)
        return DrainSetup(self.kafka, self._loaded_topics[key], models)

    def load_new_topic(self, sensors: int, rows: int, partitions: int) -> LoadedTopic:
        """Create a new topic and fill it with rows."""
        print(f"filling a topic with {rows} rows of {sensors} sensors ...", flush=True)
        topic = self.kafka.create_topic(f"rows-{uuid.uuid4().hex[:8]}", partitions)
        stream = self.trained_models(sensors).stream(rows)
        return load_topic(broker_config(self.kafka), topic, partitions, stream)


def cores() -> int:
    """Return the number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))
