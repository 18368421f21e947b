"""The command `sensorwatch doctor`: check everything, and say what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from sensorwatch.common.errors import CheckFailed
from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.printing import print_json, print_line, print_note


def doctor(
    rows: Annotated[
        int, typer.Option(min=1, max=100_000, help="Number of latest records to check.")
    ] = 1_000,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object per finding.")
    ] = False,
    config: ConfigOption = None,
) -> None:
    """Check configuration, schema, registry, broker, topics, rights, rows, clock, disk, versions.

    Each line has a status and, if there is a problem, what to do. Nothing is changed. The exit code
    is 1 if a check has failed. Warnings do not change the exit code.

    Example: sensorwatch doctor --json
    """
    from sensorwatch.doctor.examination import examine
    from sensorwatch.doctor.finding import Status

    counts = dict.fromkeys(Status, 0)
    for finding in examine(config, rows=rows):
        counts[finding.status] += 1
        if as_json:
            print_json(asdict(finding))
            continue
        print_line(f"{finding.status:<8} {finding.check}: {finding.text}")
        if finding.remedy:
            print_line(f"         to do: {finding.remedy}")
    summary = ", ".join(f"{count} {status}" for status, count in counts.items() if count)
    if counts[Status.FAILED]:
        raise CheckFailed(f"{summary}: correct the failed ones first, in this order")
    print_note(summary)
