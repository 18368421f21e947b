"""Measure whether a worker's resident memory grows with the number of rows."""

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.observed_worker import running_worker
from benchmarks.speed.process_usage import memory_mb
from benchmarks.speed.run_statistics import median_and_range
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import Testbed

CHECKPOINTS = 10
WARM_UP_CHECKPOINTS = 2
"""Number of the first checkpoints; memory growth up to the last of them is ignored, because buffers
still fill."""


def measure_memory(testbed: Testbed) -> SectionResult:
    """Measure the resident memory of a worker at several points of one long topic."""
    options = testbed.options
    drain_setup = testbed.drain_setup(sensors=options.few_sensors, rows=options.memory_rows)
    job = drain_setup.job("memory", "forecast")
    job.make_topics()
    memory_by_checkpoint = []
    with running_worker(job) as worker:
        for checkpoint in range(1, CHECKPOINTS + 1):
            worker.wait_consumed(options.memory_rows * checkpoint // CHECKPOINTS)
            memory_by_checkpoint.append(memory_mb(worker.pid))
        worker.process.terminate()
    rows = [
        (
            f"{options.memory_rows * checkpoint // CHECKPOINTS:,}",
            f"{resident_mb:.0f}",
            f"{peak_mb:.0f}",
        )
        for checkpoint, (resident_mb, peak_mb) in enumerate(memory_by_checkpoint, start=1)
    ]
    title = (
        f"Resident memory while {options.memory_rows:,} rows are processed, default detector, "
        f"{options.few_sensors:,} sensors"
    )
    table = Table(title, ("rows so far", "MB", "highest so far, MB"), rows)
    growth_mb = memory_by_checkpoint[-1][0] - memory_by_checkpoint[WARM_UP_CHECKPOINTS - 1][0]
    warm_up_rows = options.memory_rows * WARM_UP_CHECKPOINTS // CHECKPOINTS
    note = f"from {warm_up_rows:,} to {options.memory_rows:,} rows"
    return SectionResult(
        Section(title, [table]), [Verdict(goals.MEMORY_GROWTH, median_and_range([growth_mb]), note)]
    )
