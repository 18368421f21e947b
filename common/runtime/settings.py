"""Loads the effective configuration from defaults, file, environment and command line."""

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from sensorwatch.common.errors import SettingsError
from sensorwatch.common.pydantic_errors import describe_validation_error
from sensorwatch.common.runtime.setting_choices import Delivery, LogFormat, LogLevel, StartPosition
from sensorwatch.common.runtime.setting_keys import SchemaSettings, Settings, is_topic_name
from sensorwatch.common.runtime.setting_sources import (
    SettingEntry,
    environment_entries,
    file_entries,
    override_entries,
)

__all__ = [
    "Delivery",
    "LoadedSettings",
    "LogFormat",
    "LogLevel",
    "Settings",
    "StartPosition",
    "flat_values",
    "known_keys",
    "load_settings",
    "redacted_values",
    "schema_file",
]

PACKAGED_SCHEMA = Path(__file__).parents[2] / "schemas" / "default.toml"
"""The default schema inside the installed package."""
HIDDEN_VALUE = "(hidden)"
_SECRET_WORDS = ("password", "secret", "token", "api.key", "apikey", "credential", "jaas")
# Endings of `[kafka]` keys that are secret although their names contain none of the words above.
_SECRET_KEYS = ("ssl.key.pem", "oauthbearer.assertion.private.key.pem", "oauthbearer.config")
_CREDENTIALS = re.compile(r"(?<=:)//[^/@\s]+@")
# Endings of keys that are never secret.
_NOT_SECRET_SUFFIXES = (".url", ".file", ".location", "_file")


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The effective configuration, and the origin of each value."""

    settings: Settings
    origins: Mapping[str, str]
    """Origin by dotted key such as `consumer.max_rows`: "default", "file sensorwatch.toml", ..."""


def load_settings(
    config: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] | None = None,
) -> LoadedSettings:
    """Return the configuration from defaults, file, environment and command line.

    Each source overrides the sources before it. `config`: the file; if None, `sensorwatch.toml` in
    the working folder, if it exists. `overrides`: command-line values by dotted key; a value of
    None means that the option was not given. Raises SettingsError, which names every unknown key
    and bad value with its source.
    """
    key_types = known_keys()
    entries = {
        **file_entries(config),
        **environment_entries(os.environ if environ is None else environ, key_types),
        **override_entries(overrides or {}),
    }
    try:
        settings = Settings.model_validate(_nest_entries(entries))
    except ValidationError as error:
        raise SettingsError(_error_text(error, entries)) from error
    _check_topics(settings)
    origins = dict.fromkeys(flat_values(settings), "default")
    return LoadedSettings(settings, origins | {key: entry.origin for key, entry in entries.items()})


def schema_file(settings: Settings) -> Path:
    """Return the path of the schema file.

    This is the path in the setting `[schema] path`. If the setting has its default and that file
    does not exist, this is the path of the schema inside the installed package.
    """
    path = settings.schema_.path
    is_default = path == SchemaSettings().path
    return PACKAGED_SCHEMA if is_default and not path.exists() else path


def flat_values(settings: Settings) -> dict[str, Any]:
    """Return the value of every dotted key as text, number or boolean."""
    plain_settings = settings.model_dump(mode="json", by_alias=True)
    return {
        f"{table}.{key}": value
        for table, keys in plain_settings.items()
        for key, value in _leaf_items(keys)
    }


def known_keys() -> dict[str, type[Any]]:
    """Return the type of every dotted key, except those of `[kafka]`, which librdkafka defines."""
    return dict(_key_types(Settings, ""))


def redacted_values(loaded: LoadedSettings) -> dict[str, Any]:
    """Return the values of `flat_values` with secrets hidden."""
    return {
        key: HIDDEN_VALUE if _is_secret(key) else _without_passwords(value)
        for key, value in flat_values(loaded.settings).items()
    }


def _without_passwords(value: Any) -> Any:
    """Return a value in which user and password of each URL are hidden."""
    if isinstance(value, str):
        return _CREDENTIALS.sub(f"//{HIDDEN_VALUE}@", value)
    if isinstance(value, list):
        return [_without_passwords(element) for element in value]
    return value


def _is_secret(key: str) -> bool:
    name = key.lower()
    if name.endswith(_NOT_SECRET_SUFFIXES):
        return False
    return name.endswith(_SECRET_KEYS) or any(word in name for word in _SECRET_WORDS)


def _check_topics(settings: Settings) -> None:
    topics = settings.topics
    names = {
        "readings": topics.readings,
        "anomalies": topics.anomalies,
        "dead_letters": topics.dead_letters,
        "ledger": settings.ledger_topic,
        "state": settings.state_topic,
        "scores": settings.scores_topic,
        "verdicts": settings.verdicts_topic,
    }
    if len(set(names.values())) < len(names):
        settings_text = ", ".join(f'{key} = "{name}"' for key, name in names.items())
        raise SettingsError(f"[topics] must name different topics, found {settings_text}")
    for key in ("ledger", "state", "scores", "verdicts"):
        name = names[key]
        if not is_topic_name(name):
            raise SettingsError(
                f'"{name}", derived from [consumer] group, is not a valid topic name: '
                f"set [topics] {key}"
            )


def _nest_entries(entries: Mapping[str, SettingEntry]) -> dict[str, Any]:
    tree: dict[str, Any] = {}
    for key, entry in entries.items():
        table, _, name = key.partition(".")
        parts = [name] if table == "kafka" else name.split(".")
        subtree: Any = tree
        for part in [table, *parts[:-1]] if name else []:
            subtree = subtree.setdefault(part, {}) if isinstance(subtree, dict) else subtree
        # If a table's name was set to a value, validation reports this.
        if isinstance(subtree, dict):
            subtree[parts[-1] if name else table] = entry.value
    return tree


def _error_text(error: ValidationError, entries: Mapping[str, SettingEntry]) -> str:
    key_types = known_keys()
    tables = {".".join(key.split(".")[:-1]) for key in key_types} | {"kafka"}
    text = describe_validation_error(error, known=[*key_types, *tables])
    origins = {origin for problem in error.errors() for origin in _origins(problem["loc"], entries)}
    for key, entry in entries.items():
        if _is_secret(key):
            text = text.replace(repr(entry.value)[:80], HIDDEN_VALUE)
    return f"{text}; set by {', '.join(sorted(origins))}" if origins else text


def _origins(location: tuple[int | str, ...], entries: Mapping[str, SettingEntry]) -> Iterator[str]:
    path = ".".join(str(part) for part in location)
    for key, entry in entries.items():
        # For a union, pydantic adds the type that it tried to the end of the location.
        if not path or key == path or key.startswith(path + ".") or path.startswith(key + "."):
            yield entry.origin


def _leaf_items(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _leaf_items(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _key_types(table: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[Any]]]:
    for name, field in table.model_fields.items():
        key = prefix + (field.alias or name)
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from _key_types(kind, key + ".")
        elif key != "kafka":
            assert kind is not None, key
            # The type of a list of texts is not a class.
            yield key, cast("type[Any]", kind)
