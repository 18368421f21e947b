"""A crew of threads: kernels hold no lock of Python's, so parts are done side by side."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from sensorwatch.common.row_executor import RowRangeWork

TASK_ROWS = 2_560
"""A millisecond's work, against a hundredth for taking a part; a multiple of the forest's ROWS."""


class ThreadedRowExecutor:
    """Takes rows part by part, whoever is free; who did which leaves no trace in the results."""

    def __init__(self, count: int) -> None:
        self._thread_count = count
        self._pool = ThreadPoolExecutor(max(count - 1, 1), thread_name_prefix="rows")

    def __call__(self, work: RowRangeWork, rows: int) -> None:
        """Do all rows, the caller parts as well; see `sensorwatch.common.row_executor.Crew`."""
        tasks = deque((begin, min(begin + TASK_ROWS, rows)) for begin in range(0, rows, TASK_ROWS))
        helper_count = min(self._thread_count, len(tasks)) - 1
        if helper_count < 1:
            work(0, rows)
            return
        submitted = [self._pool.submit(_run_tasks, tasks, work) for _ in range(helper_count)]
        try:
            _run_tasks(tasks, work)
        finally:
            # Where every core is busy, who has not begun has nothing left to do. Nobody writes into
            # the results any more when they are looked at, or given up.
            tasks.clear()
            submitted = [future for future in submitted if not future.cancel()]
            wait(submitted)
        for future in submitted:
            future.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.shutdown()


def _run_tasks(tasks: deque[tuple[int, int]], work: RowRangeWork) -> None:
    """Do parts until none is left."""
    while True:
        try:
            begin, end = tasks.popleft()
        except IndexError:
            return
        work(begin, end)
