"""Show a progress bar during a run if standard error is a terminal."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from sensorwatch.common.runtime.console import SafeConsole


@contextmanager
def progress_bar(rows: int | None) -> Iterator[Callable[[int], object]]:
    """Show a progress bar, and provide a function that advances it by a number of rows.

    `rows`: total number of rows, or None if it is unknown. Nothing is drawn if standard error is
    not a terminal.
    """
    if not sys.stderr.isatty():
        yield lambda _rows: None
        return
    columns = (BarColumn(), TextColumn("{task.completed:,.0f} rows"), TimeElapsedColumn())
    with Progress(*columns, console=SafeConsole(stderr=True), transient=True) as bar:
        task_id = bar.add_task("sending", total=rows)
        yield lambda sent_rows: bar.advance(task_id, sent_rows)
