"""Compare the rate of two workers with that of one worker, on four partitions.

The workers are frozen until the topic is full.
"""

import time
import uuid

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.observed_worker import WorkerJob, running_worker
from benchmarks.speed.process_usage import tree_cpu_seconds
from benchmarks.speed.run_statistics import DrainRun, median_and_range
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import Testbed, broker_config
from benchmarks.speed.topic_loading import load_topic

PARTITIONS = 4
THREADS_PER_WORKER = (2, 1)
"""Threads per worker: 2 is the default; with 1, a core remains free for the other worker."""
_LONG_SESSION_TIMEOUT = {"kafka__session_timeout_ms": 120_000}
"""Session timeout that is longer than the time to fill the topic, so that frozen workers remain in
their group."""


def measure_two_workers(testbed: Testbed) -> SectionResult:
    """Measure runs with one worker and runs with two workers in turn."""
    configurations = [(threads, workers) for threads in THREADS_PER_WORKER for workers in (1, 2)]
    rounds = [
        {configuration: _drain_with(testbed, *configuration) for configuration in configurations}
        for _ in range(testbed.options.rounds)
    ]
    rows, ratios = [], []
    for threads in THREADS_PER_WORKER:
        note = f"{threads} thread{'s' * (threads > 1)} each"
        for workers in (1, 2):
            runs = [round_runs[threads, workers] for round_runs in rounds]
            rates, cpu = [run.rate for run in runs], [run.cpu_per_million for run in runs]
            rows.append(
                (
                    f"{workers} of our workers, {note}",
                    median_and_range(rates).text(0),
                    median_and_range(cpu).text(2),
                )
            )
        ratio = median_and_range(
            [round_runs[threads, 2].rate / round_runs[threads, 1].rate for round_runs in rounds]
        )
        rows.append((f"two workers / one worker, {note}", ratio.text(2), ""))
        ratios.append(Verdict(goals.TWO_WORKERS, ratio, note))
    title = f"Two workers on {PARTITIONS} partitions, plain features"
    table = Table(
        title,
        ("workers", "rows/s", "CPU s per million rows"),
        rows,
        "The supervisor (`--workers`) starts the workers. When they have their partitions, they "
        "are frozen until the topic is full. The time is measured from then to the last commit. "
        "The workers and the broker share the same cores.",
    )
    return SectionResult(Section(title, [table]), ratios)


def _drain_with(testbed: Testbed, threads: int, workers: int) -> DrainRun:
    models, rows = testbed.trained_models(testbed.options.few_sensors), testbed.options.rows
    topic = testbed.kafka.create_topic(f"shared-{uuid.uuid4().hex[:8]}", PARTITIONS)
    job = WorkerJob(
        broker_config(testbed.kafka),
        topic,
        PARTITIONS,
        f"of-{topic}",
        models.registry,
        "plain",
        {**_LONG_SESSION_TIMEOUT, "consumer__workers": workers, "consumer__threads": threads},
    )
    job.make_topics()
    with running_worker(job) as supervisor:
        supervisor.wait_assigned(workers)
        supervisor.process.freeze()
        load_topic(job.kafka, topic, PARTITIONS, models.stream(rows))
        cpu_before = tree_cpu_seconds(supervisor.pid)
        supervisor.process.thaw()
        start_time = time.perf_counter()
        supervisor.wait_consumed(rows)
        seconds = time.perf_counter() - start_time
        cpu = tree_cpu_seconds(supervisor.pid) - cpu_before
        supervisor.process.terminate()
    testbed.kafka.delete_topic(topic)
    return DrainRun(rows, seconds, cpu)
