"""Error responses as problem details (RFC 9457, `application/problem+json`)."""

from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from sensorwatch.api.json_pointers import pointer

MEDIA_TYPE = "application/problem+json"


class Problem(Exception):
    """An error that is sent to the client as problem details (RFC 9457)."""

    def __init__(
        self,
        status: HTTPStatus,
        detail: str,
        *,
        errors: Sequence[Mapping[str, object]] | msgspec.Raw = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """`errors`: a mapping `{pointer, detail, ...}` per fault, or the encoded JSON array."""
        super().__init__(detail)
        self.status, self.detail, self.errors = status, detail, errors
        self.headers = headers or {}

    def response(self) -> Response:
        """Return the problem as an HTTP response."""
        body: dict[str, object] = {
            "type": "about:blank",
            "title": self.status.phrase,
            "status": self.status.value,
            "detail": self.detail,
        }
        if self.errors:
            body["errors"] = self.errors
        return Response(
            msgspec.json.encode(body), self.status, dict(self.headers), media_type=MEDIA_TYPE
        )


def add_problem_handlers(app: FastAPI) -> None:
    """Make `app` send every error, even an unexpected error, as problem details."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(ClientDisconnect, _on_disconnect)
    app.add_exception_handler(Exception, _on_unexpected_error)


async def _on_problem(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)
    return error.response()


async def _on_validation_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    errors = [_validation_error_entry(problem) for problem in error.errors()]
    parameter_names = ", ".join(str(problem["loc"][-1]) for problem in error.errors())
    detail = f"the request cannot be read: {parameter_names}"
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, detail, errors=errors).response()


def _validation_error_entry(problem: Mapping[str, Any]) -> dict[str, object]:
    """Return the entry in `errors` for a bad query parameter; its pointer starts with `/query`."""
    received_value = repr(problem.get("input"))
    message = str(problem["msg"])
    return {
        "pointer": pointer(*problem["loc"]),
        "detail": f"{message}, found {received_value[:100]}",
    }


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    detail = str(error.detail)
    match status:
        case HTTPStatus.NOT_FOUND:
            detail = f"there is no {request.url.path[:100]} here: see /docs"
        case HTTPStatus.METHOD_NOT_ALLOWED:
            detail = f"{request.url.path[:100]} does not support {request.method[:20]}"
    return Problem(status, detail, headers=error.headers).response()


async def _on_disconnect(_request: Request, _error: Exception) -> Response:
    detail = "the connection ended before the body was complete"
    return Problem(HTTPStatus.BAD_REQUEST, detail).response()


async def _on_unexpected_error(_request: Request, _error: Exception) -> Response:
    detail = "unexpected error; see the server's log for the cause"
    # The server closes the connection after this response. The header announces this, so that
    # clients open a new connection for the next request.
    close_header = {"Connection": "close"}
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, headers=close_header).response()
