"""Rows that need no order: done in one go, or cut into parts that are done side by side."""

from collections.abc import Callable

RowRangeWork = Callable[[int, int], None]
"""Does the rows from a first one to before another, and writes into places of those rows alone."""
RowExecutor = Callable[[RowRangeWork, int], None]
"""Gets so many rows done; all of them are when it returns, and what a part raised it raises."""


def serial(work: RowRangeWork, rows: int) -> None:
    """Do all rows in one go, as who serves many at once already keeps every core busy."""
    work(0, rows)
