"""A table of measurements that can be printed in a terminal or written to a document."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as ConsoleTable
from rich.text import Text

WIDTH_WITHOUT_TERMINAL = 140


@dataclass(frozen=True, slots=True)
class Table:
    """A table with a title; its first column has the names of the rows."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""


def show(table: Table) -> None:
    """Print a table on standard output."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_WITHOUT_TERMINAL)
    console_table = ConsoleTable(box=None, header_style="bold")
    for column_number, column in enumerate(table.columns):
        console_table.add_column(
            column, justify="right" if column_number else "left", overflow="fold"
        )
    for row in table.rows:
        console_table.add_row(*map(Text, row))
    console.print()
    console.print(Text(table.title, style="bold italic"))
    console.print(console_table)
    if table.note:
        console.print(Text(table.note, style="dim"))


def markdown(table: Table) -> str:
    """Return a table as Markdown."""
    lines = [f"### {table.title}", ""]
    lines += [_markdown_row(table.columns)]
    lines += [_markdown_row(["---", *("---:" for _ in table.columns[1:])])]
    lines += [_markdown_row(row) for row in table.rows]
    lines += ["", table.note] if table.note else []
    return "\n".join(lines) + "\n"


def _markdown_row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', '/') for cell in cells)} |"
