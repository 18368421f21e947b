"""The latency of frameworks beside ours, at a load that they bear."""

import os
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from confluent_kafka import Producer

from benchmarks.report.curves import Curve, curves
from benchmarks.report.document import Section
from benchmarks.report.table import Table
from benchmarks.speed import contestants as who
from benchmarks.speed.found import Found
from benchmarks.speed.ground import Bench, config_of
from benchmarks.speed.latency import ours_paced
from benchmarks.speed.paced import Latencies, Load, paced
from benchmarks.speed.peering import SPARK, NoPeer, environment, jars_of
from benchmarks.speed.runs import spread
from common.messaging.reading import read_topic
from tests.brokers.processes import DeadlineMissed, wait_until

RATE = 10_000
"""Rows a second: a fifth of what is asked of ours, and half or less of what they drain."""
START_SECONDS = 120.0
QUIET_SECONDS = 5.0
"""So long after the last row nothing of it is on its way any more."""
PERCENTILES = (10, 25, 50, 75, 90, 95, 99, 100)


@dataclass(frozen=True, slots=True)
class Endless:
    """A framework that goes on until it is ended, set up to answer soon."""

    name: str
    folder: str
    told: Mapping[str, str]
    how: str

    def paced(self, bench: Bench) -> Latencies:
        """Wait until it deals with rows, then bring the load; raises NoPeer."""
        kafka, trained = bench.kafka, bench.trained(bench.asked.few)
        topic = kafka.create_topic(f"paced-{uuid.uuid4().hex[:8]}")
        events, letters = (kafka.create_topic(f"{topic}.{name}") for name in ("events", "letters"))
        told = {
            "ADDRESS": kafka.address,
            "TOPIC": topic,
            "ROWS": str(2**40),
            "GROUP": f"of-{topic}",
            "EVENTS": events,
            "LETTERS": letters,
            "TRAINING": str(trained.training),
            "VALIDATION": who.MSGSPEC,
            "JARS": str(jars_of(bench.asked.environments / self.folder)),
            **self.told,
        }
        python = environment(self.folder, bench.asked.environments)
        command = [str(python), str(who.PEERS / self.folder / "drain.py")]
        stream = trained.stream(int(RATE * bench.asked.seconds))
        load = Load(config_of(kafka), topic, events, stream, RATE)
        with _running(command, {f"BENCH_{name}": text for name, text in told.items()}) as process:

            def over() -> bool:
                if process.poll() is not None:
                    raise NoPeer("it ended under its load")
                return time.monotonic() > end

            _wait_for_letter(load, letters, self.name)
            end = time.monotonic() + bench.asked.seconds + QUIET_SECONDS
            found = paced(load, over)
        if not len(found.milliseconds):
            raise NoPeer("no event of its load was seen")
        return found


SOONEST = (
    Endless(
        SPARK,
        "spark",
        {"ENDLESS": "yes", "ASYNC": "true"},
        "a micro-batch begins when the one before is done, progress is tracked asynchronously",
    ),
    Endless(
        "Quix Streams",
        "quix",
        {"COMMIT_SECONDS": "0.1", "POLL_SECONDS": "0.05"},
        "a checkpoint every 0.1 s, polls of 0.05 s",
    ),
)


def peer_latency(bench: Bench) -> Found:
    """Measure them in turn with ours, which has plain features as they have."""
    runs: dict[str, list[Latencies]] = {who.PLAIN: []}
    missing: dict[str, str] = {}
    trained = bench.trained(bench.asked.few)
    ours_paced(bench, trained, "plain", RATE)  # a new broker warms up
    for _ in range(bench.asked.rounds):
        runs[who.PLAIN].append(ours_paced(bench, trained, "plain", RATE))
        for peer in SOONEST:
            try:
                runs.setdefault(peer.name, []).append(peer.paced(bench))
            except NoPeer as reason:
                missing[peer.name] = f"Not measured: {peer.name}: {reason}."
    rows, drawn = [], []
    for name, found in runs.items():
        if not found:
            continue
        at = {q: spread([run.at(q) for run in found]) for q in PERCENTILES}
        count = sum(len(run.milliseconds) for run in found)
        figures = [at[q].text(0) for q in (50, 90, 99, 100)]
        rows.append((name, *figures, f"{count:,}", _GUARANTEES.get(name, "at least once")))
        drawn.append(Curve(name, [(float(q), max(at[q].median, 1.0)) for q in PERCENTILES]))
    title = f"Event latency beside frameworks, at {RATE:,} rows/s"
    how = "; ".join(f"{peer.name}: {peer.how}" for peer in SOONEST)
    table = Table(
        title,
        ("ms", "p50", "p90", "p99", "highest", "events", "guarantee"),
        rows,
        f"From the input record's timestamp until a reader has the event. {how}. Median "
        f"(lowest..highest) of {bench.asked.rounds} runs in turn. " + " ".join(missing.values()),
    )
    plot = curves(title, drawn, axes=("per cent of the events", "ms at the most"))
    return Found(Section(title, [table], {"peer-latency": plot}), [])


_GUARANTEES = {who.PLAIN: "exactly once"}


def _wait_for_letter(load: Load, letters: str, name: str) -> None:
    """Send a row that cannot be read, and wait for its dead letter: rows are dealt with by now."""
    producer = Producer(load.kafka)
    producer.produce(load.topic, b"no row", partition=0)
    producer.flush(10)
    try:
        wait_until(
            lambda: any(True for _ in read_topic(load.kafka, letters)),
            deadline=START_SECONDS,
            what=f"a first dead letter of {name}",
            every=0.5,
        )
    except DeadlineMissed as error:
        raise NoPeer(str(error)) from error


@contextmanager
def _running(
    command: list[str], environment: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command in a process group of its own, of which nothing is left afterwards."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **environment, "PYTHONPATH": str(who.PEERS)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
