"""Measure the time to restore the memory of many sensors after a worker was killed."""

import json
from pathlib import Path
from typing import Any

from benchmarks.report.document import Section
from benchmarks.report.figures_table import Table
from benchmarks.speed import speed_targets as goals
from benchmarks.speed.observed_worker import TIMEOUT_SECONDS, running_worker
from benchmarks.speed.run_statistics import median_and_range
from benchmarks.speed.section_result import SectionResult
from benchmarks.speed.speed_targets import Verdict
from benchmarks.speed.testbed import DrainSetup, Testbed
from tests.brokers.child_processes import wait_until

KILL_AT_SHARES = (0.51, 0.67, 0.79)
"""Shares of the rows after which the worker is killed: different times after a snapshot."""


def measure_restores(testbed: Testbed) -> SectionResult:
    """Kill a worker with many sensors, and read the restore time from the next worker's log."""
    options = testbed.options
    drain_setup = testbed.drain_setup(sensors=options.many_sensors, rows=options.rows)
    restores = [
        _time_restore(drain_setup, kill_at_share)
        for kill_at_share in KILL_AT_SHARES
        for _ in range(options.rounds)
    ]
    seconds = median_and_range([log_entry["seconds"] for log_entry in restores])
    sensors = median_and_range([log_entry["sensors"] for log_entry in restores])
    title = f"Restoring the memory of {options.many_sensors:,} sensors, default detector"
    table = Table(
        title,
        ("restores", "sensors", "seconds"),
        [(str(len(restores)), sensors.text(0), seconds.text(2))],
        "After a kill -9, the next worker reads the snapshot, scores the later rows again, and "
        "compares the digest. It logs the time from the assignment of the partition to the end of "
        "the restore.",
    )
    return SectionResult(
        Section(title, [table]), [Verdict(goals.RESTORE, seconds, f"{options.many_sensors:,}")]
    )


def _time_restore(drain_setup: DrainSetup, kill_at_share: float) -> dict[str, Any]:
    job = drain_setup.job("restore", "forecast")
    job.make_topics()
    with running_worker(job) as worker:
        worker.wait_consumed(round(kill_at_share * drain_setup.loaded_topic.rows))
        worker.process.kill()
    with running_worker(job) as worker:
        log = worker.process.log
        return wait_until(
            lambda: _restore_log_entry(log),
            deadline=TIMEOUT_SECONDS,
            what="a memory restored",
            every=0.1,
        )


def _restore_log_entry(log: Path) -> dict[str, Any] | None:
    for line in log.read_text(errors="replace").splitlines():
        if '"memory restored"' in line:
            log_entry: dict[str, Any] = json.loads(line)
            return log_entry
    return None
