"""Execution of work that needs no row order, serially or in parallel row ranges."""

from collections.abc import Callable

RowRangeWork = Callable[[int, int], None]
"""A function (begin, end) that processes the rows `begin` to `end` - 1, and writes only to them."""
RowExecutor = Callable[[RowRangeWork, int], None]
"""A function (work, rows) that runs `work` on all rows and blocks until every row is done.

It raises the exception of a failed call of `work`.
"""


def run_serially(work: RowRangeWork, rows: int) -> None:
    """Process all rows in one call; used by the API, which already runs requests in parallel."""
    work(0, rows)
