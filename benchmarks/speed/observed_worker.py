"""Run sensorwatch's worker like a user, and measure it from another process."""

import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from benchmarks.speed.process_usage import cpu_seconds, memory_mb
from benchmarks.speed.run_statistics import DrainRun
from sensorwatch.common.kafka.broker_errors import is_transient
from sensorwatch.common.kafka.ledger_text import from_metadata
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topics import create_topics, topic_plans
from sensorwatch.common.ledger.account import Account
from tests.brokers.child_processes import ChildProcess, last_lines, wait_until

ROOT = Path(__file__).parents[2]
POLL_SECONDS = 0.02
TIMEOUT_SECONDS = 900.0


@dataclass(frozen=True, slots=True)
class WorkerJob:
    """The topics, consumer group, model and settings with which a worker is started."""

    kafka: dict[str, Any]
    topic: str
    partitions: int
    group: str
    registry: Path
    model: str
    settings: Mapping[str, object]
    """Additional settings by key, such as `consumer__max_rows`."""

    @property
    def topics(self) -> dict[str, str]:
        """The worker's output topics, by their purpose."""
        return {
            name: f"{self.group}.{name}"
            for name in ("anomalies", "dlq", "ledger", "state", "scores")
        }

    def make_topics(self) -> None:
        """Create the output topics of the job, as `sensorwatch topics create` does."""
        plans = topic_plans(
            readings=self.topic,
            anomalies=self.topics["anomalies"],
            dead_letters=self.topics["dlq"],
            ledger=self.topics["ledger"],
            state=self.topics["state"],
            scores=self.topics["scores"],
            verdicts=f"{self.group}.verdicts",
            partitions=self.partitions,
        )
        create_topics(self.kafka, plans)

    def environment(self) -> dict[str, str]:
        """Return the job as environment variables of the worker."""
        settings_by_key: dict[str, object] = {
            "topics__readings": self.topic,
            "topics__anomalies": self.topics["anomalies"],
            "topics__dead_letters": self.topics["dlq"],
            "topics__ledger": self.topics["ledger"],
            "topics__state": self.topics["state"],
            "topics__scores": self.topics["scores"],
            "registry__path": self.registry,
            "registry__model": self.model,
            "consumer__group": self.group,
            "consumer__http_port": 0,
            "log__format": "json",
            **{f"kafka__{name.replace('.', '_')}": value for name, value in self.kafka.items()},
            **self.settings,
        }
        return {
            f"SENSORWATCH__{name.upper()}": str(settings_by_key[name]) for name in settings_by_key
        }


class Worker:
    """A running worker of sensorwatch (`python -m consumer`)."""

    def __init__(self, job: WorkerJob, process: ChildProcess, offset_reader: Consumer) -> None:
        self.job = job
        self.process = process
        self._offset_reader = offset_reader

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self.process.pid

    def accounts(self) -> list[Account]:
        """Return the counts of rows and results that the worker committed, for each partition."""
        committed_offsets = wait_until(self._committed, deadline=10, what="committed offsets")
        accounts = [from_metadata(entry.metadata, entry.offset) for entry in committed_offsets]
        return [account for account in accounts if account is not None]

    def _committed(self) -> list[TopicPartition]:
        """Return the committed offsets; an empty list if Kafka has a transient error."""
        partitions_requested = [
            TopicPartition(self.job.topic, partition) for partition in range(self.job.partitions)
        ]
        try:
            return self._offset_reader.committed(partitions_requested, 10)
        except KafkaException as error:
            if is_transient(error.args[0]):
                return []
            raise

    def consumed(self) -> int:
        """Return the number of committed rows; raises RuntimeError if the worker has ended."""
        if not self.process.running:
            raise RuntimeError(f"the worker ended:\n{last_lines(self.process.log)}")
        return sum(account.consumed for account in self.accounts())

    def wait_consumed(self, rows: int) -> None:
        """Wait until at least `rows` rows are committed."""
        wait_until(
            lambda: self.consumed() >= rows,
            deadline=TIMEOUT_SECONDS,
            what=f"{rows} rows",
            every=POLL_SECONDS,
        )

    def wait_opened(self) -> None:
        """Wait until the worker is ready: it has committed an account for every partition."""
        wait_until(
            lambda: self.consumed() >= 0 and len(self.accounts()) == self.job.partitions,
            deadline=TIMEOUT_SECONDS,
            what="accounts opened",
            every=POLL_SECONDS,
        )

    def wait_assigned(self, workers: int) -> None:
        """Wait until `workers` members of the consumer group have partitions."""
        self.wait_opened()
        admin = AdminClient(self.job.kafka, logger=silent_logger())
        wait_until(
            lambda: _members_with_partitions(admin, self.job.group) == workers,
            deadline=TIMEOUT_SECONDS,
            what=f"{workers} workers with partitions",
            every=0.2,
        )

    def metrics(self) -> str:
        """Return the text of the worker's metrics page."""
        for line in self.process.log.read_text(errors="replace").splitlines():
            if '"health"' in line:
                address = json.loads(line)["health"]
                with urllib.request.urlopen(f"{address}/metrics", timeout=5) as response:
                    return str(response.read().decode())
        raise RuntimeError("the worker serves no metrics")


def _members_with_partitions(admin: AdminClient, group: str) -> int:
    description = admin.describe_consumer_groups([group])[group].result(timeout=10)
    return sum(bool(member.assignment.topic_partitions) for member in description.members)


@contextmanager
def running_worker(
    job: WorkerJob, environment: Mapping[str, str] | None = None
) -> Iterator[Worker]:
    """Start a worker; stop its process group and delete its log at the end."""
    config = {**job.kafka, "group.id": job.group}
    with (
        tempfile.TemporaryDirectory(prefix="sensorwatch-worker-") as folder,
        Consumer(config, logger=silent_logger()) as offset_reader,
        ChildProcess(
            [sys.executable, "-m", "sensorwatch.consumer"],
            log=Path(folder) / "log",
            environment={**job.environment(), **(environment or {}), "PYTHONPATH": str(ROOT)},
            folder=ROOT,
        ) as process,
    ):
        yield Worker(job, process, offset_reader)


class DrainTooFast(RuntimeError):
    """All rows were already committed when the measurement began."""


def measure_drain(job: WorkerJob, rows: int) -> DrainRun:
    """Measure a worker that drains a topic of `rows` rows, from its first to its last commit.

    Raises DrainTooFast if all rows are already committed when the first commit is seen.
    """
    job.make_topics()
    with running_worker(job) as worker:
        worker.wait_consumed(1)
        rows_at_start, start_time, cpu_before = (
            worker.consumed(),
            time.perf_counter(),
            cpu_seconds(worker.pid),
        )
        if rows_at_start >= rows:
            raise DrainTooFast(f"all {rows} rows were committed before the first commit was seen")
        worker.wait_consumed(rows)
        seconds = time.perf_counter() - start_time
        cpu = cpu_seconds(worker.pid) - cpu_before
        accounts = worker.accounts()
        memory = memory_mb(worker.pid)
        worker.process.terminate()
    return DrainRun(
        rows - rows_at_start,
        seconds,
        cpu,
        sum(account.anomalies for account in accounts),
        sum(account.dead_letters for account in accounts),
        *memory,
    )
