"""Sends JSON by HTTP POST, and classifies the answer."""

import http.client
import json
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from sensorwatch.common.runtime.build import project_version

_MAX_ANSWER_BYTES = 10_000
_NOT_PROCESSED_STATUSES = (408, 425, 429, 503)
"""Statuses that mean that the target did not process the request, and may do so later."""


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
        headers = {
            "Content-Type": content_type,
            "User-Agent": f"sensorwatch/{project_version()}",
        }
        request = Request(url, json.dumps(value).encode(), headers)  # noqa: S310 - settings check the scheme
        try:
            with opener.open(request, timeout=timeout_seconds) as response:
                response.read(_MAX_ANSWER_BYTES)
                return Answer(Outcome.ACCEPTED, status=response.status)
        except HTTPError as error:
            return _refusal(error)
        except (OSError, http.client.HTTPException, ValueError) as error:
            return _failure(error)

    return post


def _refusal(error: HTTPError) -> Answer:
    try:
        text = error.read(_MAX_ANSWER_BYTES).decode("utf-8", "replace").strip()
    except (OSError, http.client.HTTPException):
        text = ""
    finally:
        error.close()
    detail = f"status {error.code}: {text[:500] or error.reason}"
    if error.code in _NOT_PROCESSED_STATUSES:
        return Answer(Outcome.FAILED, detail, error.code)
    outcome = Outcome.UNKNOWN if error.code >= 500 else Outcome.REFUSED
    return Answer(outcome, detail, error.code)


def _failure(error: Exception) -> Answer:
    reason = getattr(error, "reason", error)
    if isinstance(reason, ConnectionRefusedError):
        return Answer(Outcome.FAILED, str(reason))
    return Answer(Outcome.UNKNOWN, f"{type(reason).__name__}: {reason}")
