"""From the start of the process to the first scored row: with a warm cache, and the first ever."""

import tempfile
import time

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.observed_worker import a_worker
from benchmarks.speed.run_statistics import Spread, spread
from benchmarks.speed.section_result import Found
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import Bench, Ground

ROWS = 20_000
MODELS = {"plain features": "plain", "default detector": "forecast"}


def starting(bench: Bench) -> Found:
    """Measure how long until the first micro-batch is committed."""
    ground = bench.ground(sensors=bench.asked.few, rows=ROWS)
    rows, found = [], {}
    for name, model in MODELS.items():
        _started(ground, model, None)  # whatever is compiled now is in the cache from here on
        warm = spread([_started(ground, model, None) for _ in range(bench.asked.rounds)])
        cold = spread([_first_ever(ground, model) for _ in range(bench.asked.rounds)])
        found[name] = warm, cold
        rows.append((name, warm.text(1), cold.text(1)))
    title = "From start to the first committed rows, seconds"
    table = Table(
        title,
        ("", "warm cache", "first ever: everything is compiled"),
        rows,
        "From the start of `python -m consumer` to its first commit of a micro-batch; the first "
        "ever with an empty folder for numba's cache.",
    )
    return Found(Section(title, [table]), _verdicts(*found["default detector"]))


def _verdicts(warm: Spread, cold: Spread) -> list[Verdict]:
    note = "default detector, to its first commit"
    return [Verdict(goals.START_WARM, warm, note), Verdict(goals.START_COLD, cold, note)]


def _first_ever(ground: Ground, model: str) -> float:
    with tempfile.TemporaryDirectory(prefix="numba-cache-") as empty:
        return _started(ground, model, empty)


def _started(ground: Ground, model: str, cache: str | None) -> float:
    job = ground.job("start", model)
    job.make_topics()
    began = time.perf_counter()
    with a_worker(job, {"NUMBA_CACHE_DIR": cache} if cache else None) as worker:
        worker.wait_consumed(1)
        seconds = time.perf_counter() - began
        worker.program.terminate()
    return seconds
