"""The systems in the speed comparison; each system runs in its own process."""

import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from benchmarks.speed.observed_worker import measure_drain
from benchmarks.speed.run_statistics import DrainRun
from benchmarks.speed.testbed import DrainSetup
from sensorwatch.common.kafka.topic_reader import read_topic

PEERS = Path(__file__).with_name("peers")
TIMEOUT_SECONDS = 1_200


@dataclass(frozen=True, slots=True)
class ComparedSystem:
    """A system with its name, its delivery guarantee, and a function that runs it once."""

    name: str
    guarantee: str
    run: Callable[[DrainSetup], DrainRun]


def our_worker(
    name: str, model: str, settings: Mapping[str, object] | None = None
) -> ComparedSystem:
    """Return sensorwatch's worker with a trained model.

    `settings`: the settings that differ from the defaults.
    """

    def run(drain_setup: DrainSetup) -> DrainRun:
        return measure_drain(
            drain_setup.job("ours", model, settings), drain_setup.loaded_topic.rows
        )

    return ComparedSystem(name, "exactly once", run)


@dataclass(frozen=True, slots=True)
class PeerScript:
    """A program to compare with: a file in the folder `peers`, and the Python that runs it."""

    path: str
    python: Path = Path(sys.executable)
    environment_values: Mapping[str, str] = field(default_factory=dict)
    """More environment variables; the prefix BENCH_ is put before each name."""
    count_sent_messages: bool = True
    """Whether to count the result messages in Kafka if the program prints no counts. False if the
    program sends no messages.
    """

    def run(self, drain_setup: DrainSetup) -> DrainRun:
        """Run the program to its end, and return the measurements that it prints."""
        group = f"{Path(self.path).stem}-{uuid.uuid4().hex[:8]}"
        completed = self._run_to_end(self.environment(drain_setup, group))
        if completed.returncode:
            raise RuntimeError(
                f"{self.path} failed:\n{completed.stdout[-2000:]}{completed.stderr[-4000:]}"
            )
        lines = [line for line in completed.stdout.splitlines() if line.startswith('{"rows"')]
        if not lines:
            raise RuntimeError(
                f"{self.path} printed no figures:\n{completed.stdout}{completed.stderr}"
            )
        run = DrainRun(**json.loads(lines[-1]))
        if run.events or run.dead_letters or not self.count_sent_messages:
            return run
        events, dead_letters_count = (
            _count_records(drain_setup, f"{group}.{name}") for name in ("events", "letters")
        )
        return replace(run, events=events, dead_letters=dead_letters_count)

    def environment(self, drain_setup: DrainSetup, group: str) -> dict[str, str]:
        """Create the result topics of the consumer group; return the program's environment."""
        for name in ("events", "letters"):
            drain_setup.kafka.create_topic(f"{group}.{name}")
        environment_values = {
            "ADDRESS": drain_setup.kafka.address,
            "TOPIC": drain_setup.loaded_topic.topic,
            "PARTITIONS": str(drain_setup.loaded_topic.partitions),
            "ROWS": str(drain_setup.loaded_topic.rows),
            "GROUP": group,
            "EVENTS": f"{group}.events",
            "LETTERS": f"{group}.letters",
            "TRAINING": str(drain_setup.models.training),
            "VALIDATION": MSGSPEC,
            **self.environment_values,
        }
        return {f"BENCH_{name}": value for name, value in environment_values.items()}

    @contextmanager
    def running(
        self, environment: Mapping[str, str], output: int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[str]]:
        """Start the program in its own process group; kill the process group at the end."""
        process = subprocess.Popen(
            [str(self.python), str(PEERS / self.path)],
            env={**os.environ, **environment, "PYTHONPATH": str(PEERS)},
            stdout=output,
            stderr=output,
            text=True,
            start_new_session=True,
        )
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _run_to_end(self, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        with self.running(environment, subprocess.PIPE) as process:
            stdout_text, stderr_text = process.communicate(timeout=TIMEOUT_SECONDS)
        return subprocess.CompletedProcess(self.path, process.returncode, stdout_text, stderr_text)


def _count_records(drain_setup: DrainSetup, topic: str) -> int:
    return sum(1 for _ in read_topic(drain_setup.config, topic))


EMPTY_LOOP, EXPERT_LOOP, PLAIN_WORKER = "empty loop", "by hand, expert", "ours, plain features"
DEFAULT_WORKER = "ours, default detector"
MSGSPEC, PYDANTIC = "msgspec", "pydantic"


def hand_written_loops() -> list[ComparedSystem]:
    """Return four hand-written loops: two empty ones, an expert's one, and one with pydantic."""
    folder = "hand_written"
    tuned_empty_loop, default_empty_loop = (
        PeerScript(
            f"{folder}/empty_loop.py",
            environment_values={"BACKOFF": backoff},
            count_sent_messages=False,
        )
        for backoff in ("10", "")
    )
    pydantic_loop = PeerScript(
        f"{folder}/batch_consumer.py", environment_values={"VALIDATION": PYDANTIC}
    )
    return [
        ComparedSystem(EMPTY_LOOP, "none", tuned_empty_loop.run),
        ComparedSystem("empty loop, client's default", "none", default_empty_loop.run),
        ComparedSystem(EXPERT_LOOP, "exactly once", PeerScript(f"{folder}/batch_consumer.py").run),
        ComparedSystem("by hand, pydantic", "exactly once", pydantic_loop.run),
    ]
