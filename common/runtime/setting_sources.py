"""Reads settings by dotted key from the file, the environment and the command line."""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from sensorwatch.common.errors import SettingsError
from sensorwatch.common.pydantic_errors import suggest_name

DEFAULT_FILE = Path("sensorwatch.toml")
PREFIX = "SENSORWATCH__"
_KAFKA = "kafka"
# librdkafka's own keys that end in `file`. The value of such a key is the path itself, not the
# content of that file.
_KAFKA_FILE_KEYS = frozenset(
    {
        "sasl.oauthbearer.assertion.file",
        "sasl.oauthbearer.assertion.private.key.file",
        "sasl.oauthbearer.assertion.jwt.template.file",
    }
)


@dataclass(frozen=True, slots=True)
class SettingEntry:
    """The value of a setting, and where the value comes from."""

    value: Any
    origin: str


def file_entries(config: Path | None) -> dict[str, SettingEntry]:
    """Return the entries of a TOML file.

    If `config` is None, the file is `sensorwatch.toml` in the working folder, and may be missing.
    Raises SettingsError if a given file is missing, or if the file is not TOML.
    """
    path = DEFAULT_FILE if config is None else config
    try:
        toml_tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if config is None:
            return {}
        raise SettingsError(
            f"no configuration file {path}: correct --config, or omit it (every key has a default)"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise SettingsError(f"{path} cannot be read as a configuration: {error}") from error
    return {key: SettingEntry(value, f"file {path}") for key, value in _flat_items(toml_tables)}


def environment_entries(
    environ: Mapping[str, str], key_types: Mapping[str, type[Any]]
) -> dict[str, SettingEntry]:
    """Return the entries of the environment variables `SENSORWATCH__TABLE__KEY`.

    A variable `SENSORWATCH__TABLE__KEY_FILE` names a file that contains the value. `key_types`: the
    type of each key. Raises SettingsError for an unknown key, an unreadable file, or a
    key that is set twice.
    """
    entries: dict[str, SettingEntry] = {}
    for variable in sorted(name for name in environ if name.startswith(PREFIX)):
        key, is_file = _parse_variable(variable, key_types)
        if key in entries:
            raise SettingsError(
                f"{key} is set twice, by {variable} and by {entries[key].origin}: remove one"
            )
        text = _file_content(Path(environ[variable]), variable) if is_file else environ[variable]
        entries[key] = SettingEntry(
            _parse_text(text, key_types.get(key, str)), f"environment {variable}"
        )
    return entries


def override_entries(overrides: Mapping[str, object]) -> dict[str, SettingEntry]:
    """Return the entries of the command line; options that were not given have the value None."""
    return {
        key: SettingEntry(value, "command line")
        for key, value in overrides.items()
        if value is not None
    }


def _flat_items(tables: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in tables.items():
        if isinstance(value, dict) and value:
            yield from _flat_items(value, f"{prefix}{key}.")
        elif not isinstance(value, dict):
            yield prefix + key, value


def _parse_variable(variable: str, key_types: Mapping[str, type[Any]]) -> tuple[str, bool]:
    """Return the dotted key that a variable names, and whether its value is a file's content."""
    key = variable.removeprefix(PREFIX).lower().replace("__", ".")
    table, _, name = key.partition(".")
    if table == _KAFKA and name:
        key = f"{_KAFKA}.{name.replace('_', '.')}"
        is_file = key.endswith(".file") and key.removeprefix("kafka.") not in _KAFKA_FILE_KEYS
        return (key.removesuffix(".file"), True) if is_file else (key, False)
    if key in key_types:
        return key, False
    if key.removesuffix("_file") in key_types:
        return key.removesuffix("_file"), True
    raise SettingsError(
        f'unknown key "{key}" in the environment variable {variable}{suggest_name(key, key_types)}'
    )


def _file_content(path: Path, variable: str) -> str:
    try:
        # A file with a secret usually ends in a line break that is not part of the secret.
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(
            f"{variable} names the file {path}, which cannot be read: {error}"
        ) from error


def _parse_text(text: str, value_type: type[Any]) -> object:
    try:
        return TypeAdapter(value_type).validate_strings(text)
    except ValidationError:
        return text  # the later validation of all settings reports this text
