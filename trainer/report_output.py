"""The output of an evaluation report: a JSON file, and tables on the terminal."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.console import Console
from rich.table import Table
from rich.text import Text

from sensorwatch.common.errors import DataError

_WIDTH_WITHOUT_TERMINAL = 160
_CASE_COLUMNS = {
    "kind": "fault",
    "size": "size",
    "episodes": "episodes",
    "recall_events": "recall (events)",
    "recall_rows": "recall (rows)",
    "precision": "precision",
    "delay_rows": "delay (rows)",
    "roc_auc": "ROC-AUC",
    "average_precision": "avg. precision",
}


def write_report(path: Path, report: Mapping[str, Any]) -> None:
    """Write a report as JSON. Raises DataError if the file cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise DataError(f"{path} cannot be written: {error.strerror or error}") from error


def print_report(report: Mapping[str, Any], console: Console | None = None) -> None:
    """Print a report's checks and fault cases as tables on standard output."""
    out = console or _console()
    out.print(_checks(report))
    out.print(_cases(report))
    out.print(Text(f"bounds of alert rates: {report['stability']['tolerance']}"))


def _checks(report: Mapping[str, Any]) -> Table:
    table = Table(title=f"{report['version']} on {report['data']['uri']}", title_justify="left")
    for heading in ("check", "passed", "observed", "wanted"):
        table.add_column(heading, overflow="fold")
    for check in report["checks"]:
        passed_text = (
            Text("yes", style="green") if check["passed"] else Text("NO", style="bold red")
        )
        # Text objects, so that rich does not interpret brackets as markup.
        table.add_row(
            Text(check["name"]), passed_text, Text(check["observed"]), Text(check["wanted"])
        )
    return table


def _cases(report: Mapping[str, Any]) -> Table:
    frame = case_frame(report)
    table = Table(title="injected faults (sizes in spreads of the signal)", title_justify="left")
    for heading in frame.columns:
        table.add_column(str(heading), justify="left" if heading == "fault" else "right")
    for row in frame.itertuples(index=False):
        table.add_row(*_cell_texts(row))
    return table


def case_frame(report: Mapping[str, Any]) -> pd.DataFrame:
    """Return the fault cases as a DataFrame: one row per kind and size, three decimals."""
    frame = pd.DataFrame(report["failures"]["cases"])[list(_CASE_COLUMNS)]
    return frame.rename(columns=_CASE_COLUMNS).round(3)


def _cell_texts(row: Iterable[object]) -> list[str]:
    return ["-" if pd.isna(cell) else _cell_text(cell) for cell in row]  # type: ignore[call-overload] # pandas-stubs knows no object


def _cell_text(cell: object) -> str:
    return f"{cell:g}" if isinstance(cell, float) else str(cell)


def _console() -> Console:
    console = Console(highlight=False)
    return console if console.is_terminal else Console(width=_WIDTH_WITHOUT_TERMINAL)
