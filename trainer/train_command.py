"""The command `train`: fit a model on files or a topic and register it as a version."""

from typing import Annotated

import typer

from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.time_option import NOW, parse_time_option
from sensorwatch.trainer.trainer_options import (
    AsOfOption,
    DataOption,
    FeaturesOption,
    RateOption,
    RegistryOption,
    RowsOption,
    SchemaOption,
    SeedOption,
    VerdictsOption,
    settings_for,
)


def train(
    data: DataOption,
    rows: RowsOption = None,
    as_of: AsOfOption = NOW,
    promote: Annotated[
        bool,
        typer.Option("--promote", help="Evaluate the version; promote it if every check passes."),
    ] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--name",
            "--model",
            help="Model name in the registry. Default: the setting registry.model.",
            show_default=False,
        ),
    ] = None,
    seed: SeedOption = None,
    target_alert_rate: RateOption = None,
    features: FeaturesOption = None,
    verdicts: VerdictsOption = None,
    schema: SchemaOption = None,
    registry: RegistryOption = None,
    config: ConfigOption = None,
) -> None:
    """Fit a model, calibrate it on rows outside its fit, and register it as a version."""
    settings = settings_for(
        config,
        seed=seed,
        target_alert_rate=target_alert_rate,
        features=features,
        model=name,
        registry=registry,
        schema=schema,
    )
    # Imported here, because the import takes seconds and `--help` does not need it.
    from sensorwatch.trainer.train_run import train_version

    train_version(
        settings,
        data,
        rows=rows,
        as_of=parse_time_option("--as-of", as_of),
        promote=promote,
        verdicts=verdicts,
    )
