"""The optional API key of requests."""

import hmac
from http import HTTPStatus
from pathlib import Path

from starlette.requests import Request

from sensorwatch.api.problem_details import Problem
from sensorwatch.common.errors import SettingsError


def read_key(path: str) -> bytes | None:
    """Return the API key in the file at `path`, or None if `path` is empty.

    With None, requests need no key. Raises SettingsError if the file cannot be read or contains no
    key.
    """
    if not path:
        return None
    try:
        key = Path(path).read_bytes().strip()
    except OSError as error:
        reason = error.strerror or error
        raise SettingsError(
            f"[api] api_key_file names {path}, which cannot be read: {reason}; write the key into "
            "this file, or remove the setting if clients need no key"
        ) from error
    if not key:
        raise SettingsError(
            f"[api] api_key_file names {path}, which is empty: write the key into this file, or "
            "remove the setting if clients need no key"
        )
    return key


def has_valid_key(request: Request, key: bytes | None) -> bool:
    """Return True if the request has the right key, or if no key is set."""
    if key is None:
        return True
    sent_key = request.headers.get("x-api-key")
    if sent_key is None:
        scheme, _, credentials = request.headers.get("authorization", "").partition(" ")
        sent_key = credentials if scheme.lower() == "bearer" else ""
    return is_key(sent_key, key)


def is_key(sent_key: str, key: bytes) -> bool:
    """Return whether a text that was decoded as Latin-1 is the key.

    Starlette decodes headers as Latin-1, so encoding as Latin-1 restores the sent bytes. The keys
    are compared in constant time.
    """
    return hmac.compare_digest(sent_key.strip().encode("latin-1"), key)


def check_key(request: Request, key: bytes | None) -> None:
    """Raise Problem (401) if a key is set and the request does not have it."""
    if not has_valid_key(request, key):
        raise Problem(
            HTTPStatus.UNAUTHORIZED,
            'a key is needed: send it as "Authorization: Bearer KEY" or "X-API-Key: KEY"',
            headers={"WWW-Authenticate": 'Bearer realm="sensorwatch"'},
        )
