"""Whether a worker's resident memory grows with the rows it has seen."""

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.observed_worker import a_worker
from benchmarks.speed.process_usage import memory_mb
from benchmarks.speed.run_statistics import spread
from benchmarks.speed.section_result import Found
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import Bench

TENTHS = 10
WARM_TENTHS = 2
"""What it takes until then is buffers that fill up once."""


def memory(bench: Bench) -> Found:
    """Watch the default detector drain one long topic."""
    asked = bench.asked
    ground = bench.ground(sensors=asked.few, rows=asked.memory_rows)
    job = ground.job("memory", "forecast")
    job.make_topics()
    found = []
    with a_worker(job) as worker:
        for tenth in range(1, TENTHS + 1):
            worker.wait_consumed(asked.memory_rows * tenth // TENTHS)
            found.append(memory_mb(worker.pid))
        worker.program.terminate()
    rows = [
        (f"{asked.memory_rows * tenth // TENTHS:,}", f"{now:.0f}", f"{most:.0f}")
        for tenth, (now, most) in enumerate(found, start=1)
    ]
    title = (
        f"Resident memory along {asked.memory_rows:,} rows, default detector, {asked.few:,} sensors"
    )
    table = Table(title, ("rows so far", "MB", "most so far"), rows)
    grown = found[-1][0] - found[WARM_TENTHS - 1][0]
    note = f"from {asked.memory_rows * WARM_TENTHS // TENTHS:,} to {asked.memory_rows:,} rows"
    return Found(Section(title, [table]), [Verdict(goals.MEMORY_GROWTH, spread([grown]), note)])
