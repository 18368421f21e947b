"""Sends JSON by HTTP POST and classifies the answer; reads JSON by GET."""

import http.client
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit, urlunsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from sensorwatch.common.runtime.build import project_version

_MAX_ANSWER_BYTES = 10_000
_REFUSED_STATUSES = (400, 409, 413, 422)
"""Statuses that mean that the content of the request is wrong, or that it arrived before.

Other statuses below 500, such as 401 and 404, mean that the settings are wrong. A request with such
an answer is repeated, because it is accepted after a person has corrected the settings."""


class Outcome(StrEnum):
    """The result of a request."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    """The target answered that the request is wrong, so the same request would fail again."""
    FAILED = "failed"
    """The target did not process the request, so it is sent again later."""
    UNKNOWN = "unknown"
    """The target may have processed the request: it did not answer, or it answered with a server
    error. The request is sent again."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a request."""

    outcome: Outcome
    detail: str = ""
    """What the target answered, or why no answer arrived; empty if the request was accepted."""
    status: int = 0
    """The HTTP status; 0 if no answer arrived."""


MAX_READ_BYTES = 20_000_000
"""Largest answer to a GET request."""
Get = Callable[[str], bytes]
"""Returns the body of a URL; raises OSError or ValueError if it cannot be read."""
Post = Callable[[str, Any, str], Answer]
"""Sends a JSON value: `post(url, value, content_type)`."""


class _NoRedirects(HTTPRedirectHandler):
    """Follows no redirect, because another host must not get the messages."""

    def redirect_request(self, *_arguments: object, **_keywords: object) -> None:
        """Return None, so that the answer with the redirect becomes an error."""


def json_poster(timeout_seconds: float) -> Post:
    """Return a function that sends a JSON value by POST and follows no redirects."""
    opener = build_opener(_NoRedirects)

    def post(url: str, value: Any, content_type: str) -> Answer:
        plain_url, headers = _url_and_headers(url)
        headers["Content-Type"] = content_type
        request = Request(plain_url, json.dumps(value).encode(), headers)  # noqa: S310 - settings check the scheme
        try:
            with opener.open(request, timeout=timeout_seconds) as response:
                response.read(_MAX_ANSWER_BYTES)
                return Answer(Outcome.ACCEPTED, status=response.status)
        except HTTPError as error:
            return _error_answer(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return _no_answer(error)

    return post


def reader(timeout_seconds: float) -> Get:
    """Return a function that reads a URL by GET and follows no redirects."""
    opener = build_opener(_NoRedirects)

    def get(url: str) -> bytes:
        plain_url, headers = _url_and_headers(url)
        request = Request(plain_url, headers=headers)  # noqa: S310 - settings check the scheme
        try:
            with opener.open(request, timeout=timeout_seconds) as response:
                body: bytes = response.read(MAX_READ_BYTES + 1)
        except http.client.HTTPException as error:
            raise OSError(f"{type(error).__name__}: {error}") from error
        if len(body) > MAX_READ_BYTES:
            raise ValueError(f"the answer has more than {MAX_READ_BYTES} bytes")
        return body

    return get


def _url_and_headers(url: str) -> tuple[str, dict[str, str]]:
    """Return a URL without credentials, and the headers of a request to it."""
    headers = {"User-Agent": f"sensorwatch/{project_version()}"}
    plain_url, credentials = _without_credentials(url)
    if credentials:
        headers["Authorization"] = f"Basic {b64encode(credentials.encode()).decode()}"
    return plain_url, headers


def _without_credentials(url: str) -> tuple[str, str]:
    """Return a URL without user and password, and `user:password`, or an empty text."""
    parts = urlsplit(url)
    user_and_password, _, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=host)), unquote(user_and_password)


def _error_answer(error: HTTPError) -> Answer:
    try:
        text = error.read(_MAX_ANSWER_BYTES).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException):
        text = ""
    finally:
        error.close()
    detail = f"status {error.code}: {text[:500] or error.reason}"
    if error.code in _REFUSED_STATUSES:
        return Answer(Outcome.REFUSED, detail, error.code)
    is_unknown = error.code >= 500 and error.code != HTTPStatus.SERVICE_UNAVAILABLE
    return Answer(Outcome.UNKNOWN if is_unknown else Outcome.FAILED, detail, error.code)


def _no_answer(error: Exception) -> Answer:
    reason = getattr(error, "reason", error)
    if isinstance(reason, ConnectionRefusedError):
        return Answer(Outcome.FAILED, str(reason))
    return Answer(Outcome.UNKNOWN, f"{type(reason).__name__}: {reason}")
