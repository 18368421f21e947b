"""The latency of frameworks beside ours, at a load that they bear."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Producer

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.report.log_plots import Curve, log_log_plot
from benchmarks.speed import compared_systems as who
from benchmarks.speed.latency import our_latencies
from benchmarks.speed.paced_load import Latencies, Load, run_paced_load
from benchmarks.speed.peer_environments import SPARK, PeerUnavailable, script_of
from benchmarks.speed.run_statistics import median_and_range
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.testbed import DrainSetup, Testbed
from benchmarks.speed.topic_loading import LoadedTopic
from sensorwatch.common.kafka.topic_reader import read_topic
from tests.brokers.child_processes import DeadlineMissed, wait_until

RATE = 10_000
"""Rows a second: a fifth of what is asked of ours, and half or less of what they drain."""
UNREACHABLE_ROWS = 2**40
"""Rows after which a script would end by itself."""
START_SECONDS = 120.0
DRAIN_SECONDS = 5.0
"""So long after the last row nothing of it is on its way any more."""
PERCENTILES = (10, 25, 50, 75, 90, 95, 99, 100)


@dataclass(frozen=True, slots=True)
class EndlessPeer:
    """A framework that runs until it is stopped, configured for low latency."""

    name: str
    folder: str
    environment_values: Mapping[str, str]
    setup_note: str

    def run_paced_load(self, bench: Testbed) -> Latencies:
        """Wait until it deals with rows, then bring the load; raises NoPeer."""
        kafka, trained = bench.kafka, bench.trained(bench.options.few_sensors)
        topic = kafka.create_topic(f"paced-{uuid.uuid4().hex[:8]}")
        group, endless_topic = (
            f"of-{topic}",
            LoadedTopic(topic, 1, UNREACHABLE_ROWS, bad=0, bytes=0),
        )
        drain_setup = DrainSetup(kafka, endless_topic, trained)
        script = script_of(self.folder, bench, self.environment_values)
        stream = trained.stream(int(RATE * bench.options.seconds))
        load = Load(drain_setup.config, topic, f"{group}.events", stream, RATE)
        with script.running(script.environment(drain_setup, group)) as process:

            def is_done() -> bool:
                if process.poll() is not None:
                    raise PeerUnavailable("it ended under its load")
                return time.monotonic() > end

            _wait_for_dead_letter(load, f"{group}.letters", self.name)
            end = time.monotonic() + bench.options.seconds + DRAIN_SECONDS
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


def peer_latency(bench: Testbed) -> SectionResult:
    """Measure them in turn with ours, which has plain features as they have."""
    runs: dict[str, list[Latencies]] = {who.PLAIN: []}
    missing: dict[str, str] = {}
    trained = bench.trained(bench.options.few_sensors)
    our_latencies(bench, trained, "plain", RATE)  # a new broker warms up
    for _ in range(bench.options.rounds):
        runs[who.PLAIN].append(our_latencies(bench, trained, "plain", RATE))
        for peer in LOW_LATENCY_PEERS:
            try:
                runs.setdefault(peer.name, []).append(peer.run_paced_load(bench))
            except PeerUnavailable as reason:
                missing[peer.name] = f"Not measured: {peer.name}: {reason}."
    rows, curves_drawn = [], []
    for name, latencies in runs.items():
        if not latencies:
            continue
        latency_percentile = {
            q: median_and_range([run.latency_percentile(q) for run in latencies])
            for q in PERCENTILES
        }
        count = sum(len(run.milliseconds) for run in latencies)
        figures = [latency_percentile[q].text(0) for q in (50, 90, 99, 100)]
        guarantee = "exactly once" if name == who.PLAIN else "at least once"
        rows.append((name, *figures, f"{count:,}", guarantee))
        curves_drawn.append(
            Curve(name, [(float(q), max(latency_percentile[q].median, 1.0)) for q in PERCENTILES])
        )
    title = f"Event latency beside frameworks, at {RATE:,} rows/s"
    setup_note = "; ".join(f"{peer.name}: {peer.setup_note}" for peer in LOW_LATENCY_PEERS)
    table = Table(
        title,
        ("ms", "p50", "p90", "p99", "highest", "events", "guarantee"),
        rows,
        f"From the input record's timestamp until a reader has the event. {setup_note}. Median "
        f"(lowest..highest) of {bench.options.rounds} runs in turn. " + " ".join(missing.values()),
    )
    plot = log_log_plot(title, curves_drawn, axes=("per cent of the events", "ms at the most"))
    return SectionResult(Section(title, [table], {"peer-latency": plot}), [])


def _wait_for_dead_letter(load: Load, dead_letter_topic: str, name: str) -> None:
    """Send a row that cannot be read, and wait for its dead letter: rows are dealt with by now."""
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
