"""Who takes part in the contest, each a process of its own."""

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

from benchmarks.speed.observed_worker import drained
from benchmarks.speed.run_statistics import Run
from benchmarks.speed.testbed import Ground
from sensorwatch.common.kafka.topic_reader import read_topic

PEERS = Path(__file__).with_name("peers")
LONGEST_SECONDS = 1_200


@dataclass(frozen=True, slots=True)
class Contestant:
    """A name, and how a run of it is made."""

    name: str
    guarantee: str
    run: Callable[[Ground], Run]


def ours(name: str, model: str, settings: Mapping[str, object] | None = None) -> Contestant:
    """Return our worker with one of the trained models, all settings at their defaults."""

    def run(ground: Ground) -> Run:
        return drained(ground.job("ours", model, settings), ground.filled.rows)

    return Contestant(name, "exactly once", run)


@dataclass(frozen=True, slots=True)
class Script:
    """A contestant's program: a file below `peers`, and the Python that runs it."""

    path: str
    python: Path = Path(sys.executable)
    told: Mapping[str, str] = field(default_factory=dict)
    """More of its environment, as BENCH_<NAME>."""
    counted: bool = True
    """Count what it sent where it does not say so itself; False: it sends nothing."""

    def run(self, ground: Ground) -> Run:
        """Run it to its end, and read the figures in its last line."""
        group = f"{Path(self.path).stem}-{uuid.uuid4().hex[:8]}"
        done = self._ended(self.environment(ground, group))
        if done.returncode:
            raise RuntimeError(f"{self.path} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
        lines = [line for line in done.stdout.splitlines() if line.startswith('{"rows"')]
        if not lines:
            raise RuntimeError(f"{self.path} printed no figures:\n{done.stdout}{done.stderr}")
        run = Run(**json.loads(lines[-1]))
        if run.events or run.dead_letters or not self.counted:
            return run
        events, letters = (_count(ground, f"{group}.{name}") for name in ("events", "letters"))
        return replace(run, events=events, dead_letters=letters)

    def environment(self, ground: Ground, group: str) -> dict[str, str]:
        """Make the topics for its results, named after its group; return what it is told."""
        for name in ("events", "letters"):
            ground.kafka.create_topic(f"{group}.{name}")
        told = {
            "ADDRESS": ground.kafka.address,
            "TOPIC": ground.filled.topic,
            "PARTITIONS": str(ground.filled.partitions),
            "ROWS": str(ground.filled.rows),
            "GROUP": group,
            "EVENTS": f"{group}.events",
            "LETTERS": f"{group}.letters",
            "TRAINING": str(ground.trained.training),
            "VALIDATION": MSGSPEC,
            **self.told,
        }
        return {f"BENCH_{name}": value for name, value in told.items()}

    @contextmanager
    def running(
        self, environment: Mapping[str, str], output: int = subprocess.DEVNULL
    ) -> Iterator[subprocess.Popen[str]]:
        """Start it in a process group of its own, of which nothing is left afterwards."""
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

    def _ended(self, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        with self.running(environment, subprocess.PIPE) as process:
            said, complained = process.communicate(timeout=LONGEST_SECONDS)
        return subprocess.CompletedProcess(self.path, process.returncode, said, complained)


def _count(ground: Ground, topic: str) -> int:
    return sum(1 for _ in read_topic(ground.config, topic))


EMPTY, EXPERT, PLAIN = "empty loop", "by hand, expert", "ours, plain features"
DEFAULT = "ours, default detector"
MSGSPEC, PYDANTIC = "msgspec", "pydantic"


def hand_written() -> list[Contestant]:
    """Return the loops that people write themselves."""
    folder = "hand_written"
    tuned, untuned = (
        Script(f"{folder}/empty_loop.py", told={"BACKOFF": backoff}, counted=False)
        for backoff in ("10", "")
    )
    usual = Script(f"{folder}/batch_consumer.py", told={"VALIDATION": PYDANTIC})
    return [
        Contestant(EMPTY, "none", tuned.run),
        Contestant("empty loop, client's default", "none", untuned.run),
        Contestant(EXPERT, "exactly once", Script(f"{folder}/batch_consumer.py").run),
        Contestant("by hand, pydantic", "exactly once", usual.run),
    ]
