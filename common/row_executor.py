"""Execution of work on rows in any order: in one call or in parallel row ranges."""

from collections.abc import Callable

RowRangeWork = Callable[[int, int], None]
"""A function (begin, end) that processes rows `begin` to `end` - 1 and writes no other rows."""
RowExecutor = Callable[[RowRangeWork, int], None]
"""A function (work, rows) that runs `work` on all rows and blocks until every row is done.

If a call of `work` raises an exception, the function raises this exception.
"""


def run_serially(work: RowRangeWork, rows: int) -> None:
    """Process all rows in one call; used by the API, which already runs requests in parallel."""
    work(0, rows)
