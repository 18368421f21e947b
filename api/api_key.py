"""The optional API key of requests."""

import hmac
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request

from sensorwatch.api.problem_details import Problem
from sensorwatch.common.errors import SettingsError


def read_key(path: str) -> bytes | None:
    """Return the key in a file; None for an empty path, which means that no key is required.

    Raises SettingsError if the file cannot be read or contains no key.
    """
    if not path:
        return None
    try:
        key = Path(path).read_bytes().strip()
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(
            f"[api] api_key_file names {path}, which cannot be read: {reason}; write the key into "
            "it, or leave the setting out to ask for none"
        ) from error
    if not key:
        raise SettingsError(
            f"[api] api_key_file names {path}, which is empty: write the key into it, or leave the "
            "setting out to ask for none"
        )
    return key


def has_valid_key(request: Request, key: bytes | None) -> bool:
    """Return whether a request has the key, compared in constant time; True if no key is set."""
    if key is None:
        return True
    sent_key = request.headers.get("x-api-key")
    if sent_key is None:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        sent_key = credentials if scheme.lower() == "bearer" else ""
    # Headers reach us decoded as Latin-1: this gives back the bytes that were sent.
    return hmac.compare_digest(sent_key.strip().encode("latin-1"), key)


def check_key(request: Request, key: bytes | None) -> None:
    """Raise Problem (401) unless the request has the key."""
    if not has_valid_key(request, key):
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            'a key is needed: send it as "Authorization: Bearer KEY" or "X-API-Key: KEY"',
            headers={"WWW-Authenticate": 'Bearer realm="sensorwatch"'},
        )
