"""Execution of work over rows that needs no order: serial, or in row ranges side by side."""

from collections.abc import Callable

RowRangeWork = Callable[[int, int], None]
"""Processes the rows from a first row to before a last row, and writes to these rows only."""
RowExecutor = Callable[[RowRangeWork, int], None]
"""Runs `work` over all rows and blocks until every row is done; raises what a call raised."""


def serial(work: RowRangeWork, rows: int) -> None:
    """Process all rows in one call; used by the API, which already runs requests in parallel."""
    work(0, rows)
