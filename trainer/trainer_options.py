"""The command-line options that the trainer's commands share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sensorwatch.common.runtime.logs import configure
from sensorwatch.common.runtime.setting_choices import FeatureKind

if TYPE_CHECKING:
    from sensorwatch.common.runtime.setting_keys import Settings

DataOption = Annotated[
    str,
    typer.Option(
        "--data",
        help="A file, a folder, a quoted glob for several files, or kafka:TOPIC.",
        show_default=False,
    ),
]
FileOption = Annotated[Path, typer.Option("--data", help="A file with rows.", show_default=False)]
RowsOption = Annotated[
    int | None,
    typer.Option(
        "--rows",
        min=1,
        help="Maximum number of rows: the first of the files, or the oldest of the topic.",
        show_default=False,
    ),
]
AsOfOption = Annotated[
    str,
    typer.Option(
        "--as-of",
        help="Reject rows of files dated later than this RFC 3339 time, or than now.",
    ),
]
VerdictsOption = Annotated[
    bool | None,
    typer.Option(
        "--verdicts/--no-verdicts",
        help="Leave out the rows of episodes with the verdict true. Default: only for kafka:TOPIC.",
        show_default=False,
    ),
]
NameOption = Annotated[
    str | None,
    typer.Option(
        "--name",
        help="Model name in the registry. Default: the setting registry.model.",
        show_default=False,
    ),
]
SchemaOption = Annotated[
    Path | None,
    typer.Option(
        "--schema",
        help="Schema file of the rows. Default: the setting schema.path.",
        show_default=False,
    ),
]
RegistryOption = Annotated[
    Path | None,
    typer.Option(
        "--registry",
        help="Folder of the registry. Default: the setting registry.path.",
        show_default=False,
    ),
]
SeedOption = Annotated[
    int | None,
    typer.Option(
        "--seed",
        min=0,
        help="Seed of the training. Default: the setting trainer.seed.",
        show_default=False,
    ),
]
RateOption = Annotated[
    float | None,
    typer.Option(
        "--target-alert-rate",
        help="Share of normal rows that may raise an alarm. "
        "Default: the setting trainer.target_alert_rate.",
        show_default=False,
    ),
]
FeaturesOption = Annotated[
    FeatureKind | None,
    typer.Option(
        "--features",
        help="Model inputs: forecast (each row compared with a forecast from its sensor's previous "
        "rows) or plain (raw signals, hour and day of week). Default: the setting "
        "trainer.features.",
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
    """Return the settings, overridden by these options, and configure logging with the result.

    An option that is None does not override its setting.
    """
    from sensorwatch.common.runtime.settings import load_settings

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
