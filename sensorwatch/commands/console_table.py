"""Print rows as a table on a terminal, or as tab-separated lines in a pipe."""

import sys
from collections.abc import Iterable, Sequence

from sensorwatch.common.runtime.printing import print_cells


def print_table(
    columns: Sequence[str], rows: Iterable[Sequence[str]], *, unbroken_column: str | None = None
) -> None:
    """Print rows below a line of column names. The cells of `unbroken_column` are never wrapped."""
    if not sys.stdout.isatty():
        for row in (columns, *rows):
            print_cells(row)
        return
    # Rich is imported here, because its import is slow and only output to a terminal needs it.
    from rich.table import Table

    from sensorwatch.common.runtime.console import SafeConsole, styled

    table = Table(box=None)
    for column in columns:
        table.add_column(styled(column), no_wrap=column == unbroken_column, overflow="fold")
    for row in rows:
        table.add_row(*(styled(cell) for cell in row))
    SafeConsole().print(table)
