"""Two workers on four partitions against one: frozen while the topic is filled, then let loose."""

import time
import uuid

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.observed_worker import Job, a_worker
from benchmarks.speed.process_usage import tree_cpu_seconds
from benchmarks.speed.run_statistics import Run, spread
from benchmarks.speed.section_result import Found
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import Bench, config_of
from benchmarks.speed.topic_loading import fill

PARTITIONS = 4
THREADS = (2, 1)
"""Of each worker: the default, and what leaves the second core to the second worker."""
_PATIENT = {"kafka__session_timeout_ms": 120_000}
"""Longer than the filling: a frozen worker stays in its group."""


def two_workers(bench: Bench) -> Found:
    """Measure one and two workers in turn."""
    ways = [(threads, workers) for threads in THREADS for workers in (1, 2)]
    rounds = [{way: _drained(bench, *way) for way in ways} for _ in range(bench.asked.rounds)]
    rows, ratios = [], []
    for threads in THREADS:
        note = f"{threads} thread{'s' * (threads > 1)} each"
        for workers in (1, 2):
            runs = [one[threads, workers] for one in rounds]
            rates, cpu = [run.rate for run in runs], [run.cpu_per_million for run in runs]
            rows.append((f"{workers} of ours, {note}", spread(rates).text(0), spread(cpu).text(2)))
        ratio = spread([one[threads, 2].rate / one[threads, 1].rate for one in rounds])
        rows.append((f"two against one, {note}", ratio.text(2), ""))
        ratios.append(Verdict(goals.TWO_WORKERS, ratio, note))
    title = f"Two workers on {PARTITIONS} partitions, plain features"
    table = Table(
        title,
        ("", "rows/s", "CPU s per million rows"),
        rows,
        "Workers under their supervisor (`--workers`), assigned and idle before the rows came; "
        "from then to the last commit. The broker and the other worker share the same cores.",
    )
    return Found(Section(title, [table]), ratios)


def _drained(bench: Bench, threads: int, workers: int) -> Run:
    trained, rows = bench.trained(bench.asked.few), bench.asked.rows
    topic = bench.kafka.create_topic(f"shared-{uuid.uuid4().hex[:8]}", PARTITIONS)
    job = Job(
        config_of(bench.kafka),
        topic,
        PARTITIONS,
        f"of-{topic}",
        trained.registry,
        "plain",
        {**_PATIENT, "consumer__workers": workers, "consumer__threads": threads},
    )
    job.make_topics()
    with a_worker(job) as group:
        group.wait_assigned(workers)
        group.program.freeze()
        fill(job.kafka, topic, PARTITIONS, trained.stream(rows))
        used = tree_cpu_seconds(group.pid)
        group.program.thaw()
        began = time.perf_counter()
        group.wait_consumed(rows)
        seconds = time.perf_counter() - began
        cpu = tree_cpu_seconds(group.pid) - used
        group.program.terminate()
    bench.kafka.delete_topic(topic)
    return Run(rows, seconds, cpu)
