"""The command `backtest`: score the rows of a file as the consumer would."""

from pathlib import Path
from typing import Annotated

import typer

from sensorwatch.common.errors import UsageError
from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.time_option import NOW, parse_time_option
from sensorwatch.trainer.trainer_options import (
    AsOfOption,
    FeaturesOption,
    FileOption,
    NameOption,
    RateOption,
    RegistryOption,
    SchemaOption,
    SeedOption,
    settings_for,
)


def backtest(
    data: FileOption,
    schema: SchemaOption = None,
    train_rows: Annotated[
        int | None,
        typer.Option(
            "--train-rows",
            min=1,
            help="Fit a model on the first N rows, and score the remaining rows.",
            show_default=False,
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            help="Score with a registered version instead: an id, champion or previous.",
            show_default=False,
        ),
    ] = None,
    as_of: AsOfOption = NOW,
    policy: Annotated[
        str,
        typer.Option(
            "--policy",
            metavar="current|FILE|none",
            help="Policy that decides what is an alarm: the one in force, a policy file, or none.",
        ),
    ] = "current",
    out: Annotated[Path, typer.Option("--out", help="CSV file for the scores.")] = Path(
        "scores.csv"
    ),
    seed: SeedOption = None,
    target_alert_rate: RateOption = None,
    features: FeaturesOption = None,
    name: NameOption = None,
    registry: RegistryOption = None,
    config: ConfigOption = None,
) -> None:
    """Score the rows of a file in order and write the scores to a CSV file."""
    settings = settings_for(
        config,
        seed=seed,
        target_alert_rate=target_alert_rate,
        features=features,
        model=name,
        registry=registry,
        schema=schema,
    )
    if (train_rows is None) == (model is None):
        raise UsageError("give either --train-rows N (fit on the first N rows) or --model VERSION")
    # Imported here, because the import takes a second and `--help` does not need it.
    from sensorwatch.trainer.backtest_run import run_backtest

    run_backtest(
        settings,
        data,
        schema=schema,
        train_rows=train_rows,
        model=model,
        as_of=parse_time_option("--as-of", as_of),
        policy=policy,
        out=out,
    )
