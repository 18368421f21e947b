"""Reads a request body, with a size limit and a time limit."""

import asyncio
from http import HTTPStatus

from starlette.requests import Request

from sensorwatch.api.problem_details import Problem

BODY_TIMEOUT_SECONDS = 30.0
"""Time limit for receiving a request body."""


async def read_body(request: Request, *, max_bytes: int) -> bytes:
    """Return the complete JSON body of a request.

    Raises Problem: 415 if the declared content type is not JSON, 413 if the declared or received
    size exceeds `max_bytes`, and 408 if the body does not arrive in time.
    """
    _check_content_type(request)
    return await read_limited_body(request, max_bytes=max_bytes)


async def read_limited_body(request: Request, *, max_bytes: int) -> bytes:
    """Return the complete body of a request, of any content type.

    Raises Problem: 413 if the declared or received size exceeds `max_bytes`, and 408 if the body
    does not arrive in time.
    """
    declared_length = request.headers.get("content-length", "")
    if declared_length.isdecimal() and int(declared_length[:20]) > max_bytes:
        raise _too_large_problem(max_bytes)
    try:
        async with asyncio.timeout(BODY_TIMEOUT_SECONDS):
            return await _read_limited(request, max_bytes)
    except TimeoutError as error:
        detail = f"the body did not arrive within {BODY_TIMEOUT_SECONDS:g} s"
        close_header = {"Connection": "close"}
        raise Problem(HTTPStatus.REQUEST_TIMEOUT, detail, headers=close_header) from error


async def _read_limited(request: Request, max_bytes: int) -> bytes:
    chunks, size = [], 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > max_bytes:
            raise _too_large_problem(max_bytes)
        chunks.append(chunk)
    return b"".join(chunks)


def _check_content_type(request: Request) -> None:
    content_type = request.headers.get("content-type", "application/json")
    media_type = content_type.partition(";")[0].strip().lower()
    if media_type != "application/json" and not media_type.endswith("+json"):
        detail = (
            f"the body is declared as {content_type[:100]!r}, wanted "
            '"Content-Type: application/json"'
        )
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail)
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding != "identity":
        detail = f"the body is encoded as {encoding[:100]!r}: send it without encoding"
        headers = {"Accept-Encoding": "identity"}
        raise Problem(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, headers=headers)


def _too_large_problem(max_bytes: int) -> Problem:
    detail = f"the body is longer than {max_bytes} bytes: send the rows in several requests"
    return Problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, detail, headers={"Connection": "close"})
