"""Produce rows at a fixed rate, and measure the time from each row to its event."""

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
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topic_reader import read_topic

WARM_UP_SECONDS = 2.0
"""Duration of the first part of a run; its rows are not measured, because the worker warms up."""


@dataclass(frozen=True, slots=True)
class PacedLoad:
    """A stream that is produced at a fixed rate to one partition, and the topic of its events."""

    kafka: dict[str, Any]
    topic: str
    events: str
    stream: Stream
    rate: int
    """Rows per second."""


@dataclass(frozen=True, slots=True)
class Latencies:
    """The latencies that were measured in one run."""

    milliseconds: NDArray[np.float64]
    """Shape (events,). Time from the timestamp of a row until a reader had the row's event."""
    late_seconds: float
    """Largest delay with which the load generator sent a row."""

    def latency_percentile(self, percentage: float) -> float:
        """Return a percentile of the latencies in milliseconds."""
        return float(np.percentile(self.milliseconds, percentage))


def run_paced_load(load: PacedLoad, is_done: Callable[[], bool]) -> Latencies:
    """Produce the load and read its events, until all rows are sent and `is_done` returns True."""
    with _reader(load) as reader, _pacer(load) as pacer:
        event_arrivals = _event_arrivals(reader, lambda: pacer.poll() is not None and is_done())
        pacer_output = json.loads(pacer.communicate()[0])
    sent_times = np.asarray(
        [message.timestamp()[1] for message in read_topic(load.kafka, load.topic)],
        dtype=np.float64,
    )
    return Latencies(
        event_latencies(sent_times, event_arrivals, rows=load.stream.rows),
        pacer_output["late_seconds"],
    )


def event_latencies(
    sent_times: NDArray[np.float64], event_arrivals: list[tuple[int, float]], *, rows: int
) -> NDArray[np.float64]:
    """Return the latency of each event in milliseconds, without events of warm-up rows.

    `sent_times` (records,): timestamp of each record in the topic; the last `rows` records are the
    load. `event_arrivals`: for each event the offset of its row, and its arrival time in
    milliseconds since 1970.
    """
    offsets = np.asarray([offset for offset, _ in event_arrivals], dtype=np.int64)
    arrival_times = np.asarray(
        [arrival_time for _, arrival_time in event_arrivals], dtype=np.float64
    )
    is_warm = sent_times[offsets] >= sent_times[len(sent_times) - rows] + 1000 * WARM_UP_SECONDS
    return np.asarray((arrival_times - sent_times[offsets])[is_warm])


def _event_arrivals(reader: Consumer, is_done: Callable[[], bool]) -> list[tuple[int, float]]:
    """Return, for each event, the offset of its row and its arrival time (ms since 1970)."""
    arrivals: list[tuple[int, float]] = []
    last_check = time.monotonic()
    while True:
        messages = reader.consume(1, 0.05)
        if messages:
            messages += reader.consume(500, 0)
        now = 1000 * time.time()
        for message in messages:
            value = json.loads(message.value() or b"{}") if message.error() is None else {}
            if "signals" in value:  # an event without signals is the end of an episode
                arrivals.append((int(value["event_id"].rpartition("-")[2]), now))
        if not messages and time.monotonic() - last_check > 0.5:
            last_check = time.monotonic()
            if is_done():
                return arrivals


def _reader(load: PacedLoad) -> Consumer:
    config = reader_config(load.kafka, group=f"{load.events}.reader") | {"fetch.wait.max.ms": 10}
    reader = Consumer(config, logger=silent_logger())
    reader.subscribe([load.events])
    return reader


@contextmanager
def _pacer(load: PacedLoad) -> Iterator[subprocess.Popen[str]]:
    """Start the process that produces the load; kill it at the end of the `with` block."""
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
