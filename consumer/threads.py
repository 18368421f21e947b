"""A crew of threads: kernels hold no lock of Python's, so parts are done side by side."""

from concurrent.futures import ThreadPoolExecutor, wait
from itertools import pairwise
from types import TracebackType
from typing import Self

from common.crew import Work

FEWEST_ROWS = 2_500
"""A part has at least so many: handing it over takes a tenth of a millisecond."""


class Threads:
    """Cuts rows into one part a thread; which of them does what leaves no trace in the results."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._others = ThreadPoolExecutor(max(count - 1, 1), thread_name_prefix="rows")

    def __call__(self, work: Work, rows: int) -> None:
        """Do all rows, the caller a part as well; see `common.crew.Crew`."""
        parts = max(min(self._count, rows // FEWEST_ROWS), 1)
        edges = pairwise(rows * part // parts for part in range(parts + 1))
        begin, end = next(edges)
        others = [self._others.submit(work, *part) for part in edges]
        try:
            work(begin, end)
        finally:
            # Nobody writes into the results any more when they are looked at, or given up.
            wait(others)
        for other in others:
            other.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._others.shutdown()
