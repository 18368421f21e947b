"""The options of all commands that read or write the accounts of a consumer group."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from sensorwatch.common.runtime.setting_keys import Settings

GroupOption = Annotated[str | None, typer.Option("--group", help="The consumer group.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object per line.")]
YesOption = Annotated[
    bool, typer.Option("--yes", help="Commit. Without this option, only print what would be done.")
]


def group_settings(config: Path | None, group: str | None) -> Settings:
    """Return the configured settings; if `group` is not None, it replaces `consumer.group`."""
    from sensorwatch.common.runtime.settings import load_settings

    return load_settings(config, overrides={"consumer.group": group}).settings
