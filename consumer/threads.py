"""A row executor that runs row ranges in threads; the kernels release Python's global lock."""

from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from types import TracebackType
from typing import Self

from sensorwatch.common.row_executor import RowRangeWork

TASK_ROWS = 2_560
"""Number of rows of a task; a multiple of the forest kernel's ROWS. A task takes about 1 ms."""


class ThreadedRowExecutor:
    """Runs row ranges in `count` threads; which thread runs a range does not change the results."""

    def __init__(self, count: int) -> None:
        """Create a pool of `count - 1` threads; the calling thread runs row ranges too."""
        self._thread_count = count
        self._pool = ThreadPoolExecutor(max(count - 1, 1), thread_name_prefix="rows")

    def __call__(self, work: RowRangeWork, rows: int) -> None:
        """Run `work` over all rows; see `sensorwatch.common.row_executor.RowExecutor`."""
        tasks = deque((begin, min(begin + TASK_ROWS, rows)) for begin in range(0, rows, TASK_ROWS))
        helper_count = min(self._thread_count, len(tasks)) - 1
        if helper_count < 1:
            work(0, rows)
            return
        futures = [self._pool.submit(_run_tasks, tasks, work) for _ in range(helper_count)]
        try:
            _run_tasks(tasks, work)
        finally:
            # Cancel the futures that have not started. Wait for all other futures, because they
            # write into the results.
            tasks.clear()
            futures = [future for future in futures if not future.cancel()]
            wait(futures)
        for future in futures:
            future.result()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._pool.shutdown()


def _run_tasks(tasks: deque[tuple[int, int]], work: RowRangeWork) -> None:
    """Run tasks until the queue is empty."""
    while True:
        try:
            begin, end = tasks.popleft()
        except IndexError:
            return
        work(begin, end)
