"""Write an evaluation report to a JSON file, and print it as tables."""

import json
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
from rich.table import Table

from sensorwatch.common.errors import DataError
from sensorwatch.common.runtime.console import SafeConsole, styled

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


def print_report(report: Mapping[str, Any]) -> None:
    """Print a report's checks and fault cases as tables on standard output."""
    out = SafeConsole(width=None if sys.stdout.isatty() else _WIDTH_WITHOUT_TERMINAL)
    out.print(_check_table(report))
    out.print(_case_table(report))
    out.print(styled(f"bounds of alert rates: {report['stability']['tolerance']}"))


def _check_table(report: Mapping[str, Any]) -> Table:
    title = f"{report['version']} on {report['data']['uri']}"
    table = Table(title=styled((title, "italic")), title_justify="left")
    for heading in ("check", "passed", "observed", "wanted"):
        table.add_column(heading, overflow="fold")
    for check in report["checks"]:
        passed_text = styled(("yes", "green") if check["passed"] else ("NO", "bold red"))
        name, observed_text, wanted_text = (
            styled(check[key]) for key in ("name", "observed", "wanted")
        )
        table.add_row(name, passed_text, observed_text, wanted_text)
    return table


def _case_table(report: Mapping[str, Any]) -> Table:
    case_data = case_frame(report)
    table = Table(title="injected faults (sizes in spreads of the signal)", title_justify="left")
    for heading in case_data.columns:
        table.add_column(styled(str(heading)), justify="left" if heading == "fault" else "right")
    for row in case_data.itertuples(index=False):
        table.add_row(*map(styled, _cell_texts(row)))
    return table


def case_frame(report: Mapping[str, Any]) -> pd.DataFrame:
    """Return the fault cases as a DataFrame: one row per kind and size, with three decimals."""
    case_data = pd.DataFrame(report["failures"]["cases"])[list(_CASE_COLUMNS)]
    return case_data.rename(columns=_CASE_COLUMNS).round(3)


def _cell_texts(row: Iterable[object]) -> list[str]:
    return ["-" if pd.isna(cell) else _cell_text(cell) for cell in row]  # type: ignore[call-overload] # pandas-stubs has no overload for object


def _cell_text(cell: object) -> str:
    return f"{cell:g}" if isinstance(cell, float) else str(cell)
