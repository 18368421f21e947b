"""Measure the event latency: the time from a row's timestamp until a reader has its event."""

import uuid

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.benchmark_models import TrainedModels
from benchmarks.speed.observed_worker import WorkerJob, running_worker
from benchmarks.speed.paced_load import WARM_UP_SECONDS, Latencies, PacedLoad, run_paced_load
from benchmarks.speed.run_statistics import median_and_range
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import Testbed, broker_config

MODELS = {"plain features": "plain", "default detector": "forecast"}


def measure_latency(testbed: Testbed) -> SectionResult:
    """Measure the event latency of the plain and the default detector at a fixed rate of rows."""
    options = testbed.options
    models = testbed.trained_models(options.few_sensors)
    rows, runs_by_name = [], {}
    our_latencies(testbed, models, "plain", options.rate)  # this run only warms up the broker
    for name, model in MODELS.items():
        runs = [our_latencies(testbed, models, model, options.rate) for _ in range(options.rounds)]
        runs_by_name[name] = runs
        pacer_delay = max(run.late_seconds for run in runs)
        figures = [
            median_and_range([run.latency_percentile(percentage) for run in runs]).text(0)
            for percentage in (50, 90, 99, 100)
        ]
        events = f"{sum(len(run.milliseconds) for run in runs):,}"
        rows.append((name, *figures, events, f"{1000 * pacer_delay:.0f}"))
    title = f"Event latency at {options.rate:,} rows/s for {options.seconds:g} s, one worker"
    table = Table(
        title,
        ("ms", "p50", "p90", "p99", "highest", "events", "largest delay of a row's sending"),
        rows,
        "Time from the input record's timestamp until a read_committed reader has the event. The "
        "producer sets the timestamp, with a linger of 1 ms. A first run only warms up the broker. "
        f"The first {WARM_UP_SECONDS:g} s of each run are not counted. Each figure is the median "
        f"(lowest..highest) of {options.rounds} runs. Timestamps are in whole milliseconds.",
    )
    verdicts = [
        Verdict(
            target, median_and_range([run.latency_percentile(percentage) for run in runs]), name
        )
        for name, runs in runs_by_name.items()
        for target, percentage in ((goals.LATENCY_P50, 50), (goals.LATENCY_P99, 99))
    ]
    return SectionResult(Section(title, [table]), verdicts)


def our_latencies(testbed: Testbed, models: TrainedModels, model: str, rate: int) -> Latencies:
    """Start sensorwatch's worker, wait until it is ready, and measure its event latencies."""
    kafka, rows = testbed.kafka, int(rate * testbed.options.seconds)
    topic = kafka.create_topic(f"paced-{uuid.uuid4().hex[:8]}")
    job = WorkerJob(broker_config(kafka), topic, 1, f"of-{topic}", models.registry, model, {})
    job.make_topics()
    load = PacedLoad(job.kafka, topic, job.topics["anomalies"], models.stream(rows), rate)
    with running_worker(job) as worker:
        worker.wait_opened()
        latencies = run_paced_load(load, lambda: worker.consumed() >= rows)
        worker.process.terminate()
    return latencies
