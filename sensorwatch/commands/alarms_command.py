"""The command `sensorwatch alarms`: plan budgets, and report which alarms were right."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.printing import print_json, print_line, print_note
from sensorwatch.common.runtime.setting_choices import SeverityChoice
from sensorwatch.common.runtime.time_option import parse_age_option
from sensorwatch.trainer.alarms_command import app

if TYPE_CHECKING:
    from sensorwatch.common.verdicts.precision import PrecisionReport, VerdictCounts

MAX_TABLE_ROWS = 20
"""Largest number of values that a table lists; --json lists all."""


@app.command("report")
def report(
    severity: Annotated[
        SeverityChoice, typer.Option(help="Lowest severity of the alarms to count.")
    ] = SeverityChoice.WARNING,
    since: Annotated[
        str | None,
        typer.Option(
            "--since",
            help="Count alarms with an event in this age, such as 7d or 12h, or since this time. "
            "Default: all.",
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    config: ConfigOption = None,
) -> None:
    """Show the precision of the alarms that people saw: the share of judged alarms that were right.

    The alarms are those that the anomaly topic still has, and those with a verdict.
    """
    from sensorwatch.common.runtime.settings import load_settings

    settings = load_settings(config).settings
    oldest = None if since is None else parse_age_option("--since", since)
    from sensorwatch.commands.alarm_precision import read_report

    precision = read_report(settings, severity.value, oldest)
    if as_json:
        print_json(
            {
                "total": precision.total.to_plain(),
                "by": {
                    name: {value: counts.to_plain() for value, counts in values.items()}
                    for name, values in precision.by_dimension.items()
                },
            },
            indent=2,
        )
    else:
        _print_report(precision)


def _print_report(precision: PrecisionReport) -> None:
    from sensorwatch.commands.console_table import print_table

    total = precision.total
    print_line(
        f"{total.alarms} alarms, {total.judged} with a verdict, {total.without_verdict} without; "
        f"precision {_precision_text(total)}"
    )
    for name, values in precision.by_dimension.items():
        print_table(
            [name, "alarms", "true", "false", "expected", "no verdict", "precision"],
            [_cells(value, counts) for value, counts in [*values.items()][:MAX_TABLE_ROWS]],
        )
        if len(values) > MAX_TABLE_ROWS:
            print_note(f"{len(values) - MAX_TABLE_ROWS} more in the column {name}: use --json")


def _cells(value: str, counts: VerdictCounts) -> list[str]:
    numbers = (counts.alarms, counts.true, counts.false, counts.expected, counts.without_verdict)
    return [value or "(none)", *map(str, numbers), _precision_text(counts)]


def _precision_text(counts: VerdictCounts) -> str:
    return "unknown" if counts.precision is None else f"{100 * counts.precision:.0f} %"
