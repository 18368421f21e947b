"""How long a row takes from its record's timestamp until a reader can see its event."""

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
from confluent_kafka import Consumer
from numpy.typing import NDArray

from benchmarks.report.document import Section
from benchmarks.report.table import Table
from benchmarks.speed import goals
from benchmarks.speed.found import Found
from benchmarks.speed.goals import Verdict
from benchmarks.speed.ground import Bench, config_of
from benchmarks.speed.models import Trained
from benchmarks.speed.rows import Stream
from benchmarks.speed.runs import spread
from benchmarks.speed.worker import ROOT, Job, a_worker
from common.messaging.kafka_config import reader_config
from common.messaging.quiet import quiet_logger
from common.messaging.reading import read_topic

WARM_SECONDS = 2.0
"""The first rows find a worker that has never met load."""
MODELS = {"plain features": "plain", "default detector": "forecast"}


@dataclass(frozen=True, slots=True)
class Latencies:
    """What one paced run gave."""

    milliseconds: NDArray[np.float64]
    """(events,) from the record's timestamp to when the reader had its event."""
    late_seconds: float
    """How far the pacer itself fell behind."""

    def at(self, percent: float) -> float:
        """Return a percentile in milliseconds."""
        return float(np.percentile(self.milliseconds, percent))


def latency(bench: Bench) -> Found:
    """Measure both models under the asked load."""
    asked = bench.asked
    trained = bench.trained(asked.few)
    rows, found = [], {}
    for name, model in MODELS.items():
        runs = [_paced(bench, trained, model) for _ in range(asked.rounds)]
        found[name] = runs
        late = max(run.late_seconds for run in runs)
        figures = [spread([run.at(q) for run in runs]).text(0) for q in (50, 90, 99, 100)]
        events = f"{sum(len(run.milliseconds) for run in runs):,}"
        rows.append((name, *figures, events, f"{1000 * late:.0f}"))
    title = f"Event latency at {asked.rate:,} rows/s for {asked.seconds:g} s, one worker"
    table = Table(
        title,
        ("ms", "p50", "p90", "p99", "highest", "events", "pacer late by"),
        rows,
        "From the input record's timestamp (the producer's, linger 1 ms) until a read_committed "
        f"reader has the event; without the first {WARM_SECONDS:g} s. Median (lowest..highest) of "
        f"{asked.rounds} runs. Timestamps are whole milliseconds.",
    )
    plain = found["plain features"]
    verdicts = [
        Verdict(goals.LATENCY_P50, spread([run.at(50) for run in plain]), "plain features"),
        Verdict(goals.LATENCY_P99, spread([run.at(99) for run in plain]), "plain features"),
    ]
    return Found(Section(title, [table]), verdicts)


def _paced(bench: Bench, trained: Trained, model: str) -> Latencies:
    """Let a worker idle, then bring the load, reading its events as they become visible."""
    asked, kafka = bench.asked, bench.kafka
    rows = int(asked.rate * asked.seconds)
    topic = kafka.create_topic(f"paced-{uuid.uuid4().hex[:8]}")
    job = Job(config_of(kafka), topic, 1, f"of-{topic}", trained.registry, model, {})
    job.make_topics()
    with a_worker(job) as worker, _reader(job) as reader:
        worker.wait_opened()
        with _pacer(kafka.address, topic, asked.rate, trained.stream(rows)) as pacer:
            seen = _seen(reader, lambda: pacer.poll() is not None and worker.consumed() >= rows)
            told = json.loads(pacer.communicate()[0])
        worker.program.terminate()
    sent = np.asarray(
        [message.timestamp()[1] for message in read_topic(job.kafka, topic)], dtype=np.float64
    )
    offsets = np.asarray([offset for offset, _ in seen], dtype=np.int64)
    visible = np.asarray([when for _, when in seen], dtype=np.float64)
    warm = sent[offsets] >= sent[0] + 1000 * WARM_SECONDS
    return Latencies((visible - sent[offsets])[warm], told["late_seconds"])


def _seen(reader: Consumer, over: Callable[[], bool]) -> list[tuple[int, float]]:
    """Return the input offset of each event, and when it was there, in ms since 1970."""
    found: list[tuple[int, float]] = []
    asked = time.monotonic()
    while True:
        messages = reader.consume(1, 0.05)
        if messages:
            messages += reader.consume(500, 0)
        now = 1000 * time.time()
        for message in messages:
            value = json.loads(message.value() or b"{}") if message.error() is None else {}
            if "signals" in value:  # an episode's end tells of no row
                found.append((value["source"]["offset"], now))
        if not messages and time.monotonic() - asked > 0.5:
            asked = time.monotonic()
            if over():
                return found


def _reader(job: Job) -> Consumer:
    config = reader_config(job.kafka, group=f"{job.group}.reader") | {"fetch.wait.max.ms": 10}
    reader = Consumer(config, logger=quiet_logger())
    reader.subscribe([job.topics["anomalies"]])
    return reader


@contextmanager
def _pacer(address: str, topic: str, rate: int, stream: Stream) -> Iterator[subprocess.Popen[str]]:
    """Start the process that brings the load; it ends with the block whatever happens."""
    told = {
        "address": address,
        "topic": topic,
        "partitions": 1,
        "rate": rate,
        "stream": asdict(stream),
    }
    command = [sys.executable, "-m", "benchmarks.speed.pacing", json.dumps(told)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as pacer:
        try:
            yield pacer
        finally:
            pacer.kill()
