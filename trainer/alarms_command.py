"""The command `alarms plan`: the share of faults that is found with each budget of false alarms."""

from pathlib import Path
from typing import Annotated

import typer

from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.time_option import NOW, parse_time_option
from sensorwatch.trainer.trainer_options import (
    AsOfOption,
    DataOption,
    NameOption,
    RegistryOption,
    RowsOption,
    SchemaOption,
    SeedOption,
    settings_for,
)

app = typer_app(no_args_is_help=True)


@app.callback()
def _alarms() -> None:
    """Plan the budgets of false alarms, and report which alarms were right."""


@app.command("plan")
def plan(
    data: DataOption,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Score with a registered version: an id, champion or previous. Default: a fit on "
            "the older part of the data.",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="SVG file for the plot.", show_default=False)
    ] = None,
    rows: RowsOption = None,
    as_of: AsOfOption = NOW,
    schema: SchemaOption = None,
    seed: SeedOption = None,
    name: NameOption = None,
    registry: RegistryOption = None,
    config: ConfigOption = None,
) -> None:
    """Show the share of injected faults that is found, for several budgets of false alarms.

    Use rows without known faults. A budget is a number of false alarm episodes per sensor-day, as
    in the settings [alarms] false_alarms_per_sensor_day.
    """
    settings = settings_for(config, seed=seed, model=name, registry=registry, schema=schema)
    from sensorwatch.trainer.alarm_plan_run import run_alarm_plan

    run_alarm_plan(
        settings,
        data,
        model=model,
        rows=rows,
        as_of=parse_time_option("--as-of", as_of),
        out=out,
    )
