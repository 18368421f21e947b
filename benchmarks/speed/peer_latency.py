"""The latency of frameworks beside ours, at a load that they bear."""

import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka import Producer

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.report.log_plots import Curve, curves
from benchmarks.speed import compared_systems as who
from benchmarks.speed.latency import ours_paced
from benchmarks.speed.paced_load import Latencies, Load, paced
from benchmarks.speed.peer_environments import SPARK, NoPeer, script_of
from benchmarks.speed.run_statistics import spread
from benchmarks.speed.section_result import Found
from benchmarks.speed.testbed import Bench, Ground
from benchmarks.speed.topic_loading import Filled
from sensorwatch.common.kafka.topic_reader import read_topic
from tests.brokers.child_processes import DeadlineMissed, wait_until

RATE = 10_000
"""Rows a second: a fifth of what is asked of ours, and half or less of what they drain."""
NO_END = 2**40
"""Rows after which a script would end by itself."""
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
        group, endless = f"of-{topic}", Filled(topic, 1, NO_END, bad=0, bytes=0)
        ground = Ground(kafka, endless, trained)
        script = script_of(self.folder, bench, self.told)
        stream = trained.stream(int(RATE * bench.asked.seconds))
        load = Load(ground.config, topic, f"{group}.events", stream, RATE)
        with script.running(script.environment(ground, group)) as process:

            def over() -> bool:
                if process.poll() is not None:
                    raise NoPeer("it ended under its load")
                return time.monotonic() > end

            _wait_for_letter(load, f"{group}.letters", self.name)
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
        guarantee = "exactly once" if name == who.PLAIN else "at least once"
        rows.append((name, *figures, f"{count:,}", guarantee))
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
