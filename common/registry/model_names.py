"""The names of models and the ids of their versions."""

import getpass
import os
import re
import socket

from sensorwatch.common.errors import UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ID_SUFFIX = re.compile(r"-(\d{4,9})-[0-9a-f]{8}")


def is_model_name(name: str) -> bool:
    """Say whether a model may be called so."""
    return _NAME.fullmatch(name) is not None


def require_model_name(name: str) -> str:
    """Return a model's name; raises UsageError for one that it may not have."""
    if not is_model_name(name):
        raise UsageError(
            f'"{name}" is not a model name: wanted 1 to 64 of a-z, 0-9, ".", "_" and "-", '
            "the first a letter or digit"
        )
    return name


def ordinal_of(name: str, version: str) -> int | None:
    """Return the number in a version's id; None where it is no id of this model."""
    suffix = _ID_SUFFIX.fullmatch(version.removeprefix(name)) if version.startswith(name) else None
    return int(suffix[1]) if suffix else None


def current_user() -> str:
    """Return who is running this process, as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container's user often has no name
        user = f"uid{os.getuid()}"
    return f"{user}@{socket.gethostname()}"
