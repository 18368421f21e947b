"""How long the memory of many sensors takes to be back after a kill -9."""

import json
from pathlib import Path
from typing import Any

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.observed_worker import LONGEST_SECONDS, a_worker
from benchmarks.speed.run_statistics import spread
from benchmarks.speed.section_result import Found
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import Bench, Ground
from tests.brokers.child_processes import wait_until

SHARES = (0.51, 0.67, 0.79)
"""Of the rows: killed after so many, so at different distances from the last snapshot."""


def restoring(bench: Bench) -> Found:
    """Kill a worker with many sensors, start another, and read how long it took to restore."""
    asked = bench.asked
    ground = bench.ground(sensors=asked.many, rows=asked.rows)
    found = [_restored(ground, share) for share in SHARES for _ in range(asked.rounds)]
    seconds = spread([one["seconds"] for one in found])
    sensors = spread([one["sensors"] for one in found])
    title = f"Restoring the memory of {asked.many:,} sensors, default detector"
    table = Table(
        title,
        ("restores", "sensors", "seconds"),
        [(str(len(found)), sensors.text(0), seconds.text(2))],
        "After a kill -9: snapshot read, rows since read and scored again, digest compared. As "
        "the worker logs it, from the assignment on.",
    )
    return Found(Section(title, [table]), [Verdict(goals.RESTORE, seconds, f"{asked.many:,}")])


def _restored(ground: Ground, share: float) -> dict[str, Any]:
    job = ground.job("restore", "forecast")
    job.make_topics()
    with a_worker(job) as worker:
        worker.wait_consumed(round(share * ground.filled.rows))
        worker.program.kill9()
    with a_worker(job) as worker:
        log = worker.program.log
        return wait_until(
            lambda: _told(log), deadline=LONGEST_SECONDS, what="a memory restored", every=0.1
        )


def _told(log: Path) -> dict[str, Any] | None:
    for line in log.read_text(errors="replace").splitlines():
        if '"memory restored"' in line:
            found: dict[str, Any] = json.loads(line)
            return found
    return None
