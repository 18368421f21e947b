"""A crew of threads: kernels hold no lock of Python's, so parts are done side by side."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from sensorwatch.common.row_executor import Work

PART_ROWS = 2_560
"""A millisecond's work, against a hundredth for taking a part; a multiple of the forest's ROWS."""


class Threads:
    """Takes rows part by part, whoever is free; who did which leaves no trace in the results."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._others = ThreadPoolExecutor(max(count - 1, 1), thread_name_prefix="rows")

    def __call__(self, work: Work, rows: int) -> None:
        """Do all rows, the caller parts as well; see `sensorwatch.common.row_executor.Crew`."""
        left = deque((begin, min(begin + PART_ROWS, rows)) for begin in range(0, rows, PART_ROWS))
        others = min(self._count, len(left)) - 1
        if others < 1:
            work(0, rows)
            return
        running = [self._others.submit(_take, left, work) for _ in range(others)]
        try:
            _take(left, work)
        finally:
            # Where every core is busy, who has not begun has nothing left to do. Nobody writes into
            # the results any more when they are looked at, or given up.
            left.clear()
            running = [one for one in running if not one.cancel()]
            wait(running)
        for one in running:
            one.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._others.shutdown()


def _take(left: deque[tuple[int, int]], work: Work) -> None:
    """Do parts until none is left."""
    while True:
        try:
            begin, end = left.popleft()
        except IndexError:
            return
        work(begin, end)
