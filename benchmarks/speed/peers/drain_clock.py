"""Measure wall and CPU seconds from the first row to the last, and print them as JSON."""

import json
import os
import sys
import time
from pathlib import Path


class DrainClock:
    """A clock with counts of rows and results; the first row starts it."""

    def __init__(self) -> None:
        self.rows = self.events = self.dead_letters = 0
        self._start: tuple[float, float] | None = None
        self._end = (0.0, 0.0)

    def start(self) -> None:
        """Start the clock at the first row; later calls have no effect."""
        if self._start is None:
            self._start = _clock_times()

    def count_done(self, rows: int, events: int = 0, dead_letters: int = 0) -> None:
        """Add these rows and their results to the counts."""
        self.rows += rows
        self.events += events
        self.dead_letters += dead_letters
        self._end = _clock_times()

    def print(self) -> None:
        """Print the figures as the last line, which the benchmark reads."""
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
    """Print a run's figures, with the CPU of this process and all its descendants.

    Frameworks that process rows in other processes use this function. The difference between a
    run on a long topic and a run on a short topic gives the cost of a row.
    """
    figures = {"rows": rows, "seconds": seconds, "cpu_seconds": _tree_cpu_seconds()}
    _print_json(figures)


def _print_json(figures: dict[str, float]) -> None:
    # Faust redirects sys.stdout to its log.
    print(json.dumps(figures), file=sys.__stdout__, flush=True)


def _tree_cpu_seconds() -> float:
    """Return user and system time of this process and its descendants, ended ones included."""
    stats = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            stat_fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # After the name: state, parent; utime, stime, cutime and cstime are the 12th to 15th.
        stats[int(path.parent.name)] = int(stat_fields[1]), sum(map(int, stat_fields[11:15]))
    tree, children = {os.getpid()}, True
    while children:
        children = {pid for pid, (parent, _) in stats.items() if parent in tree} - tree
        tree |= children
    return sum(stats[pid][1] for pid in tree if pid in stats) / os.sysconf("SC_CLK_TCK")


def _clock_times() -> tuple[float, float]:
    # process_time counts all threads of the process, the client's too.
    return time.perf_counter(), time.process_time()
