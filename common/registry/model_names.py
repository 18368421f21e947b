"""Checks model names and version ids, and returns the current user's name."""

import getpass
import os
import re
import socket

from sensorwatch.common.errors import UsageError

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_ID_SUFFIX = re.compile(r"-(\d{4,9})-[0-9a-f]{8}")


def is_model_name(name: str) -> bool:
    """Return whether a text is a valid model name."""
    return _NAME.fullmatch(name) is not None


def require_model_name(name: str) -> str:
    """Return a valid model name unchanged; raises UsageError for any other text."""
    if not is_model_name(name):
        raise UsageError(
            f'"{name}" is not a model name: wanted 1 to 64 of a-z, 0-9, ".", "_" and "-", '
            "beginning with a letter or digit"
        )
    return name


def ordinal_of(name: str, version: str) -> int | None:
    """Return the number in a version id; None if it is not an id of this model."""
    suffix = _ID_SUFFIX.fullmatch(version.removeprefix(name)) if version.startswith(name) else None
    return int(suffix[1]) if suffix else None


def current_user() -> str:
    """Return the user of this process, as user@host."""
    try:
        user_name = getpass.getuser()
    except (KeyError, OSError):  # the user of a container often has no name
        user_name = f"uid{os.getuid()}"
    return f"{user_name}@{socket.gethostname()}"
