"""The options that the trainer's commands share."""

from pathlib import Path
from typing import Annotated

import typer

from sensorwatch.common.runtime.logs import configure
from sensorwatch.common.runtime.setting_keys import FeatureKind, Settings
from sensorwatch.common.runtime.settings import load_settings

DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        help="A CSV or Parquet file, a glob in quotes for several, or kafka:TOPIC.",
        show_default=False,
    ),
]
FileOption = Annotated[
    Path, typer.Option("--data", help="A CSV or Parquet file.", show_default=False)
]
RowsOption = Annotated[
    int | None,
    typer.Option(
        "--rows",
        min=1,
        help="Only the first so many rows of the files, or the oldest of the topic.",
        show_default=False,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="The model's name in the registry; else registry.model.",
        show_default=False,
    ),
]
SchemaOption = Annotated[
    Path | None,
    typer.Option("--schema", help="The rows' schema; else schema.path.", show_default=False),
]
RegistryOption = Annotated[
    Path | None,
    typer.Option("--registry", help="The registry; else registry.path.", show_default=False),
]
SeedOption = Annotated[
    int | None,
    typer.Option("--seed", min=0, help="Else trainer.seed.", show_default=False),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--target-alert-rate",
        help="Share of normal rows that may be called anomalous; else trainer.target_alert_rate.",
        show_default=False,
    ),
]
FeaturesOption = Annotated[
    FeatureKind | None,
    typer.Option(
        "--features",
        help="What a model looks at: forecast (each row against its sensor's past) or plain (the "
        "raw signals, hour and day of week); else trainer.features.",
        show_default=False,
    ),
]


def settings_for(
    config: Path | None,
    *,
    model: str | None,
    registry: Path | None,
    schema: Path | None = None,
    seed: int | None = None,
    target_alert_rate: float | None = None,
    features: FeatureKind | None = None,
) -> Settings:
    """Return the settings with these options over them, and configure the log by them."""
    overrides = {
        "trainer.seed": seed,
        "trainer.target_alert_rate": target_alert_rate,
        "trainer.features": features,
        "registry.model": model,
        "registry.path": registry,
        "schema.path": schema,
    }
    settings = load_settings(config, overrides=overrides).settings
    configure(settings.log.format.value, settings.log.level.value)
    return settings
