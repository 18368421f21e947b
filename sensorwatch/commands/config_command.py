"""The command `sensorwatch config`: validate the configuration and show its sources."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from sensorwatch.common.errors import SettingsError
from sensorwatch.common.runtime.command_line import ConfigOption, typer_app
from sensorwatch.common.runtime.printing import print_line, print_note

if TYPE_CHECKING:
    from sensorwatch.common.runtime.settings import LoadedSettings, Settings

app = typer_app(no_args_is_help=True)


@app.callback()
def config() -> None:
    """Check the configuration and show its sources."""


@app.command()
def check(config: ConfigOption = None) -> None:
    """Validate the configuration; show every value (secrets hidden) and its source."""
    from sensorwatch.common.rows.schema import load_schema
    from sensorwatch.common.runtime.settings import load_settings, schema_file

    loaded_settings = load_settings(config)
    settings = loaded_settings.settings
    _print_values(loaded_settings)
    check_clients(settings)
    check_key_file(settings.api.api_key_file)
    if schema_file(settings).exists():
        load_schema(schema_file(settings))
    for note in _notes(settings):
        print_note(f"note: {note}")
    print_note("the configuration is valid")


def _print_values(loaded_settings: LoadedSettings) -> None:
    from sensorwatch.common.runtime.settings import redacted_values

    rows = [
        (
            key,
            json.dumps(value, ensure_ascii=False),
            loaded_settings.origins[key] + _effective_value_note(key, loaded_settings),
        )
        for key, value in redacted_values(loaded_settings).items()
    ]
    if not sys.stdout.isatty():
        for key, value, origin in rows:
            print_line(f"{key} = {value}  # {origin}")
        return
    # Rich is imported here, because its import is slow and only output to a terminal needs it.
    from rich.table import Table

    from sensorwatch.common.runtime.console import SafeConsole, styled

    table = Table("key", "value", "from", box=None)
    for key, value, origin in rows:
        style = "dim" if origin == "default" else ""
        table.add_row(*(styled(cell) for cell in (key, value, origin)), style=style)
    SafeConsole().print(table)


def _effective_value_note(key: str, loaded_settings: LoadedSettings) -> str:
    """Return a note with the derived topic name if the setting `key` is empty, else ""."""
    settings = loaded_settings.settings
    if key == "topics.ledger" and not settings.topics.ledger:
        return f": {settings.ledger_topic}, derived from consumer.group"
    if key == "topics.state" and not settings.topics.state:
        return f": {settings.state_topic}, derived from consumer.group"
    if key == "topics.scores" and not settings.topics.scores:
        return f": {settings.scores_topic}, derived from consumer.group"
    return ""


def check_clients(settings: Settings) -> None:
    """Raise SettingsError if the Kafka clients cannot work with the settings."""
    from sensorwatch.commands.kafka_settings_check import check_client_settings

    max_pause_seconds = (
        settings.consumer.commit_deadline_seconds + settings.consumer.max_wait_ms / 1000
    )
    check_client_settings(
        settings.kafka, group=settings.consumer.group, max_pause_seconds=max_pause_seconds
    )


def check_key_file(name: str) -> None:
    """Raise SettingsError if a file with API keys is named, but cannot be read or is empty."""
    if not name:
        return
    try:
        key = Path(name).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"[api] api_key_file {name} cannot be read: {error}") from error
    if not key:
        raise SettingsError(
            f"[api] api_key_file {name} is empty, so every request would be refused"
        )


def _notes(settings: Settings) -> Iterator[str]:
    from sensorwatch.common.runtime.settings import schema_file

    if not schema_file(settings).exists():
        yield (
            f"there is no schema file {schema_file(settings)}; `train` and `topics` need one "
            "(`sensorwatch schema infer FILE` writes it)"
        )
    if not settings.registry.path.is_dir():
        yield (
            f'[registry] path = "{settings.registry.path}" does not exist yet; '
            "`sensorwatch train` creates it"
        )
    yield from delivery_notes(settings)


def delivery_notes(settings: Settings) -> Iterator[str]:
    """Yield a note if events may be published twice."""
    from sensorwatch.common.runtime.settings import Delivery

    if settings.consumer.delivery is Delivery.AT_LEAST_ONCE:
        yield (
            "consumer.delivery is at_least_once: after a crash an event can be published twice, "
            "with the same ce_id"
        )
