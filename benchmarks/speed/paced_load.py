"""A paced stream, and how long its rows take until a reader can see their events."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from confluent_kafka import Consumer
from numpy.typing import NDArray

from benchmarks.speed.json_payloads import Stream
from benchmarks.speed.observed_worker import ROOT
from sensorwatch.common.kafka.client_config import reader_config
from sensorwatch.common.kafka.silent_logger import quiet_logger
from sensorwatch.common.kafka.topic_reader import read_topic

WARM_UP_SECONDS = 2.0
"""The first rows find a worker that has never met load."""


@dataclass(frozen=True, slots=True)
class Load:
    """Rows at an even pace into one partition, and where their events come out."""

    kafka: dict[str, Any]
    topic: str
    events: str
    stream: Stream
    rate: int
    """Rows a second."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """What one paced run gave."""

    milliseconds: NDArray[np.float64]
    """(events,) from the record's timestamp to when the reader had its event."""
    late_seconds: float
    """How far the pacer itself fell behind."""

    def latency_percentile(self, percent: float) -> float:
        """Return a percentile in milliseconds."""
        return float(np.percentile(self.milliseconds, percent))


def run_paced_load(load: Load, is_done: Callable[[], bool]) -> Latencies:
    """Bring the load, reading its events as they become visible, until it is brought and over."""
    with _reader(load) as reader, _pacer(load) as pacer:
        event_arrivals = _event_arrivals(reader, lambda: pacer.poll() is not None and is_done())
        pacer_arguments = json.loads(pacer.communicate()[0])
    sent = np.asarray(
        [message.timestamp()[1] for message in read_topic(load.kafka, load.topic)],
        dtype=np.float64,
    )
    return Latencies(
        event_latencies(sent, event_arrivals, rows=load.stream.rows),
        pacer_arguments["late_seconds"],
    )


def event_latencies(
    sent: NDArray[np.float64], event_arrivals: list[tuple[int, float]], *, rows: int
) -> NDArray[np.float64]:
    """Return how long each event's row took, in milliseconds, without the first WARM_UP_SECONDS.

    `sent` (records,): the time of each record of the topic, whose last `rows` are the load;
    `event_arrivals`: the offset of each event's row, and when the event arrived, in milliseconds
    since 1970.
    """
    offsets = np.asarray([offset for offset, _ in event_arrivals], dtype=np.int64)
    visible = np.asarray([when for _, when in event_arrivals], dtype=np.float64)
    warm = sent[offsets] >= sent[len(sent) - rows] + 1000 * WARM_UP_SECONDS
    return np.asarray((visible - sent[offsets])[warm])


def _event_arrivals(reader: Consumer, is_done: Callable[[], bool]) -> list[tuple[int, float]]:
    """Return the input offset of each event, and when it was there, in ms since 1970."""
    arrivals: list[tuple[int, float]] = []
    last_check = time.monotonic()
    while True:
        messages = reader.consume(1, 0.05)
        if messages:
            messages += reader.consume(500, 0)
        now = 1000 * time.time()
        for message in messages:
            value = json.loads(message.value() or b"{}") if message.error() is None else {}
            if "signals" in value:  # the end of an episode belongs to no row
                arrivals.append((int(value["event_id"].rpartition("-")[2]), now))
        if not messages and time.monotonic() - last_check > 0.5:
            last_check = time.monotonic()
            if is_done():
                return arrivals


def _reader(load: Load) -> Consumer:
    config = reader_config(load.kafka, group=f"{load.events}.reader") | {"fetch.wait.max.ms": 10}
    reader = Consumer(config, logger=quiet_logger())
    reader.subscribe([load.events])
    return reader


@contextmanager
def _pacer(load: Load) -> Iterator[subprocess.Popen[str]]:
    """Start the process that produces the load; it always ends with the block."""
    pacer_arguments = {
        "address": load.kafka["bootstrap.servers"],
        "topic": load.topic,
        "partitions": 1,
        "rate": load.rate,
        "stream": asdict(load.stream),
    }
    command = [sys.executable, "-m", "benchmarks.speed.load_generator", json.dumps(pacer_arguments)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as pacer:
        try:
            yield pacer
        finally:
            pacer.kill()
