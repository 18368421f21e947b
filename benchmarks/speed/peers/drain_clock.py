"""Measure wall-clock time and CPU time from the first row to the last; print both as JSON."""

import json
import os
import sys
import time
from pathlib import Path


class DrainClock:
    """Measures a run from its first row, and counts its rows and results."""

    def __init__(self) -> None:
        self.rows = self.events = self.dead_letters = 0
        self._start: tuple[float, float] | None = None
        self._end = (0.0, 0.0)

    def start(self) -> None:
        """Start the clock at the first row; later calls have no effect."""
        if self._start is None:
            self._start = _clock_times()

    def count_done(self, rows: int, events: int = 0, dead_letters: int = 0) -> None:
        """Count finished rows and their results, and set the end time to now."""
        self.rows += rows
        self.events += events
        self.dead_letters += dead_letters
        self._end = _clock_times()

    def print(self) -> None:
        """Print the measurements as one line, which the benchmark reads."""
        start = self._start or self._end
        figures = {
            "rows": self.rows,
            "seconds": self._end[0] - start[0],
            "cpu_seconds": self._end[1] - start[1],
            "events": self.events,
            "dead_letters": self.dead_letters,
        }
        _print_json(figures)


def print_run_totals(rows: int, seconds: float) -> None:
    """Print a run's measurements, with the CPU time of this process and all its descendants.

    This function is for frameworks that process rows in other processes. The benchmark subtracts
    a run on a short topic from a run on a long topic to get the cost of a row.
    """
    figures = {"rows": rows, "seconds": seconds, "cpu_seconds": _tree_cpu_seconds()}
    _print_json(figures)


def _print_json(figures: dict[str, float]) -> None:
    # Faust redirects sys.stdout to its log.
    print(json.dumps(figures), file=sys.__stdout__, flush=True)


def _tree_cpu_seconds() -> float:
    """Return the CPU time of this process and its descendants, including ended processes."""
    process_stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat_fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # Fields after the process name: 0 state, 1 parent, 11 to 14 utime, stime, cutime, cstime.
        process_stats[int(path.parent.name)] = (
            int(stat_fields[1]),
            sum(map(int, stat_fields[11:15])),
        )
    tree_pids, new_pids = {os.getpid()}, {0}
    while new_pids:
        new_pids = {
            pid for pid, (parent, _) in process_stats.items() if parent in tree_pids
        } - tree_pids
        tree_pids |= new_pids
    return sum(process_stats[pid][1] for pid in tree_pids if pid in process_stats) / os.sysconf(
        "SC_CLK_TCK"
    )


def _clock_times() -> tuple[float, float]:
    # process_time counts all threads of the process, including those of the Kafka client.
    return time.perf_counter(), time.process_time()
