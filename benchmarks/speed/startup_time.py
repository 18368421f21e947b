"""Measure a worker's time to its first commit, with a filled and with an empty code cache."""

import tempfile
import time

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.observed_worker import running_worker
from benchmarks.speed.run_statistics import MedianAndRange, median_and_range
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import DrainSetup, Testbed

ROWS = 20_000
MODELS = {"plain features": "plain", "default detector": "forecast"}


def measure_startup(testbed: Testbed) -> SectionResult:
    """Measure the time from a worker's start until its first micro-batch is committed."""
    drain_setup = testbed.drain_setup(sensors=testbed.options.few_sensors, rows=ROWS)
    rows, times_by_model = [], {}
    for name, model in MODELS.items():
        # This start is not measured; it fills the cache of compiled code.
        _time_start(drain_setup, model, None)
        warm_times = median_and_range(
            [_time_start(drain_setup, model, None) for _ in range(testbed.options.rounds)]
        )
        cold_times = median_and_range(
            [_time_cold_start(drain_setup, model) for _ in range(testbed.options.rounds)]
        )
        times_by_model[name] = warm_times, cold_times
        rows.append((name, warm_times.text(1), cold_times.text(1)))
    title = "Seconds from start to the first committed rows"
    table = Table(
        title,
        ("detector", "start with warm cache", "first start ever, which compiles everything"),
        rows,
        "Time from the start of `python -m consumer` to its first commit of a micro-batch. For the "
        "first start ever, the folder of numba's cache is empty.",
    )
    return SectionResult(Section(title, [table]), _verdicts(*times_by_model["default detector"]))


def _verdicts(warm_times: MedianAndRange, cold_times: MedianAndRange) -> list[Verdict]:
    note = "default detector, to its first commit"
    return [
        Verdict(goals.START_WARM, warm_times, note),
        Verdict(goals.START_COLD, cold_times, note),
    ]


def _time_cold_start(drain_setup: DrainSetup, model: str) -> float:
    with tempfile.TemporaryDirectory(prefix="numba-cache-") as cache_folder:
        return _time_start(drain_setup, model, cache_folder)


def _time_start(drain_setup: DrainSetup, model: str, cache: str | None) -> float:
    job = drain_setup.job("start", model)
    job.make_topics()
    start_time = time.perf_counter()
    with running_worker(job, {"NUMBA_CACHE_DIR": cache} if cache else None) as worker:
        worker.wait_consumed(1)
        seconds = time.perf_counter() - start_time
        worker.process.terminate()
    return seconds
