"""How long a row takes from its record's timestamp until a reader can see its event."""

import uuid

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.benchmark_models import Trained
from benchmarks.speed.observed_worker import Job, a_worker
from benchmarks.speed.paced_load import WARM_SECONDS, Latencies, Load, paced
from benchmarks.speed.run_statistics import spread
from benchmarks.speed.section_result import Found
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import Bench, config_of

MODELS = {"plain features": "plain", "default detector": "forecast"}


def latency(bench: Bench) -> Found:
    """Measure both models under the asked load."""
    asked = bench.asked
    trained = bench.trained(asked.few)
    rows, found = [], {}
    ours_paced(bench, trained, "plain", asked.rate)  # a new broker warms up
    for name, model in MODELS.items():
        runs = [ours_paced(bench, trained, model, asked.rate) for _ in range(asked.rounds)]
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
        f"reader has the event; without the first {WARM_SECONDS:g} s of a run, and without a first "
        f"run, which warms the broker. Median (lowest..highest) of {asked.rounds} runs. Timestamps "
        "are whole milliseconds.",
    )
    verdicts = [
        Verdict(goal, spread([run.at(percent) for run in runs]), name)
        for name, runs in found.items()
        for goal, percent in ((goals.LATENCY_P50, 50), (goals.LATENCY_P99, 99))
    ]
    return Found(Section(title, [table]), verdicts)


def ours_paced(bench: Bench, trained: Trained, model: str, rate: int) -> Latencies:
    """Let our worker idle, then bring the load."""
    kafka, rows = bench.kafka, int(rate * bench.asked.seconds)
    topic = kafka.create_topic(f"paced-{uuid.uuid4().hex[:8]}")
    job = Job(config_of(kafka), topic, 1, f"of-{topic}", trained.registry, model, {})
    job.make_topics()
    load = Load(job.kafka, topic, job.topics["anomalies"], trained.stream(rows), rate)
    with a_worker(job) as worker:
        worker.wait_opened()
        found = paced(load, lambda: worker.consumed() >= rows)
        worker.program.terminate()
    return found
