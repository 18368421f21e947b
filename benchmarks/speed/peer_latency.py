"""Compare the event latency of sensorwatch's worker and of frameworks at a moderate load."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Producer

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.report.log_plots import Curve, log_log_plot
from benchmarks.speed import compared_systems as compared
from benchmarks.speed.latency import our_latencies
from benchmarks.speed.paced_load import Latencies, PacedLoad, run_paced_load
from benchmarks.speed.peer_environments import SPARK, PeerUnavailable, script_of
from benchmarks.speed.run_statistics import median_and_range
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.testbed import DrainSetup, Testbed
from benchmarks.speed.topic_loading import LoadedTopic
from sensorwatch.common.kafka.topic_reader import read_topic
from tests.brokers.child_processes import DeadlineMissed, wait_until

RATE = 10_000
"""Rows per second: a fifth of the rate in latency.py, and at most half of the rate at which the
frameworks drain a topic."""
UNREACHABLE_ROWS = 2**40
"""Number of rows after which a program ends; no run reaches it."""
START_SECONDS = 120.0
DRAIN_SECONDS = 5.0
"""Time to wait after the last row, so that all events arrive."""
PERCENTILES = (10, 25, 50, 75, 90, 95, 99, 100)


@dataclass(frozen=True, slots=True)
class EndlessPeer:
    """A framework that is configured for low latency and runs until it is stopped."""

    name: str
    folder: str
    environment_values: Mapping[str, str]
    setup_note: str

    def run_paced_load(self, testbed: Testbed) -> Latencies:
        """Wait until the framework processes rows, then run the load; raises PeerUnavailable."""
        kafka, models = testbed.kafka, testbed.trained_models(testbed.options.few_sensors)
        topic = kafka.create_topic(f"paced-{uuid.uuid4().hex[:8]}")
        group, endless_topic = (
            f"of-{topic}",
            LoadedTopic(topic, 1, UNREACHABLE_ROWS, bad_rows=0, payload_bytes=0),
        )
        drain_setup = DrainSetup(kafka, endless_topic, models)
        script = script_of(self.folder, testbed, self.environment_values)
        stream = models.stream(int(RATE * testbed.options.seconds))
        load = PacedLoad(drain_setup.config, topic, f"{group}.events", stream, RATE)
        with script.running(script.environment(drain_setup, group)) as process:

            def is_done() -> bool:
                if process.poll() is not None:
                    raise PeerUnavailable("it ended during the load")
                return time.monotonic() > end_time

            _wait_for_dead_letter(load, f"{group}.letters", self.name)
            end_time = time.monotonic() + testbed.options.seconds + DRAIN_SECONDS
            latencies = run_paced_load(load, is_done)
        if not len(latencies.milliseconds):
            raise PeerUnavailable("no event of its load was seen")
        return latencies


LOW_LATENCY_PEERS = (
    EndlessPeer(
        SPARK,
        "spark",
        {"ENDLESS": "yes", "ASYNC": "true"},
        "a micro-batch begins when the one before is done, progress is tracked asynchronously",
    ),
    EndlessPeer(
        "Quix Streams",
        "quix",
        {"COMMIT_SECONDS": "0.1", "POLL_SECONDS": "0.05"},
        "a checkpoint every 0.1 s, polls of 0.05 s",
    ),
)


def measure_peer_latency(testbed: Testbed) -> SectionResult:
    """Measure sensorwatch's worker and the frameworks in turn; all of them use plain features."""
    runs: dict[str, list[Latencies]] = {compared.PLAIN_WORKER: []}
    missing_notes: dict[str, str] = {}
    models = testbed.trained_models(testbed.options.few_sensors)
    our_latencies(testbed, models, "plain", RATE)  # this run only warms up the broker
    for _ in range(testbed.options.rounds):
        runs[compared.PLAIN_WORKER].append(our_latencies(testbed, models, "plain", RATE))
        for peer in LOW_LATENCY_PEERS:
            try:
                runs.setdefault(peer.name, []).append(peer.run_paced_load(testbed))
            except PeerUnavailable as reason:
                missing_notes[peer.name] = f"Not measured: {peer.name}: {reason}."
    rows, curves = [], []
    for name, latencies in runs.items():
        if not latencies:
            continue
        latency_percentile = {
            percentage: median_and_range([run.latency_percentile(percentage) for run in latencies])
            for percentage in PERCENTILES
        }
        event_count = sum(len(run.milliseconds) for run in latencies)
        figures = [latency_percentile[percentage].text(0) for percentage in (50, 90, 99, 100)]
        guarantee = "exactly once" if name == compared.PLAIN_WORKER else "at least once"
        rows.append((name, *figures, f"{event_count:,}", guarantee))
        curves.append(
            Curve(
                name,
                [
                    (float(percentage), max(latency_percentile[percentage].median, 1.0))
                    for percentage in PERCENTILES
                ],
            )
        )
    title = f"Event latency compared with frameworks, at {RATE:,} rows/s"
    setup_note = "; ".join(f"{peer.name}: {peer.setup_note}" for peer in LOW_LATENCY_PEERS)
    table = Table(
        title,
        ("ms", "p50", "p90", "p99", "highest", "events", "guarantee"),
        rows,
        f"Time from the input record's timestamp until a reader has the event. {setup_note}. Each "
        f"figure is the median (lowest..highest) of {testbed.options.rounds} runs in turn. "
        + " ".join(missing_notes.values()),
    )
    plot = log_log_plot(
        title, curves, axis_names=("share of the events, %", "highest latency of this share, ms")
    )
    return SectionResult(Section(title, [table], {"peer-latency": plot}), [])


def _wait_for_dead_letter(load: PacedLoad, dead_letter_topic: str, name: str) -> None:
    """Send an invalid row; its dead letter shows that the framework has started."""
    producer = Producer(load.kafka)
    producer.produce(load.topic, b"no row", partition=0)
    producer.flush(10)
    try:
        wait_until(
            lambda: any(True for _ in read_topic(load.kafka, dead_letter_topic)),
            deadline=START_SECONDS,
            what=f"a first dead letter of {name}",
            every=0.5,
        )
    except DeadlineMissed as error:
        raise PeerUnavailable(str(error)) from error
