"""Passes requests to the process of the page through a Unix socket, and its responses back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from starlette.types import Receive, Scope, Send

from sensorwatch.api.page.event_stream import SEND_TIMEOUT_SECONDS, send_until_disconnect

ANSWER_SECONDS = 15.0
"""Longest wait for the first part of a response."""
_MAX_HEAD_BYTES = 16_384
_READ_BYTES = 65_536
_PASSED_HEADERS = frozenset(
    {b"last-event-id", b"accept", b"host", b"origin", b"sec-fetch-site", b"content-type"}
)
"""The headers of a request that the page needs."""


class PageGone(Exception):
    """The process of the page ended or does not answer."""


@dataclass(frozen=True, slots=True)
class _Head:
    """Status and headers of a response."""

    status: int
    headers: list[tuple[bytes, bytes]]

    @property
    def length(self) -> int | None:
        """Return the length of the body; None for a stream."""
        for name, value in self.headers:
            if name == b"content-length":
                return int(value)
        return None


async def forward(
    socket_path: Path, scope: Scope, receive: Receive, send: Send, *, stopping: asyncio.Event
) -> None:
    """Answer a request by the response of the page. `receive` returns the body of a form.

    A stream ends when the client disconnects, when the page ends it, or with `stopping`. Raises
    PageGone if there is no complete response; then nothing was sent.
    """
    form = (await receive())["body"] if scope["method"] == "POST" else b""
    async with _connection(socket_path) as (reader, writer):
        try:
            writer.write(_request_head(scope, len(form)) + form)
            async with asyncio.timeout(ANSWER_SECONDS):
                await writer.drain()
                head = _parse_head(await reader.readuntil(b"\r\n\r\n"))
                body = b"" if head.length is None else await reader.readexactly(head.length)
        except (OSError, EOFError, TimeoutError, ValueError, asyncio.LimitOverrunError) as error:
            raise PageGone from error
        await send({"type": "http.response.start", "status": head.status, "headers": head.headers})
        if head.length is None:
            await send_until_disconnect(
                _pass_stream(reader, send), receive, send, stopping=stopping
            )
        else:
            await send({"type": "http.response.body", "body": body})


@asynccontextmanager
async def _connection(
    path: Path,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    try:
        reader, writer = await asyncio.open_unix_connection(path, limit=_MAX_HEAD_BYTES)
    except OSError as error:
        raise PageGone from error
    try:
        yield reader, writer
    finally:
        writer.close()


def _request_head(scope: Scope, form_bytes: int) -> bytes:
    """Return the head of a request. With HTTP/1.0, the body of the response is not chunked."""
    target = scope.get("raw_path") or scope["path"].encode()
    if scope["query_string"]:
        target += b"?" + scope["query_string"]
    lines = [f"{scope['method']} ".encode() + target + b" HTTP/1.0"]
    lines += [name + b": " + value for name, value in scope["headers"] if name in _PASSED_HEADERS]
    if scope["method"] == "POST":
        lines.append(f"Content-Length: {form_bytes}".encode())
    return b"\r\n".join([*lines, b"", b""])


def _parse_head(head: bytes) -> _Head:
    status_line, *lines = head[:-4].split(b"\r\n")
    fields = (line.partition(b":") for line in lines)
    headers = [(name.lower(), value.strip()) for name, _, value in fields]
    # The server of this process adds its own headers for the connection.
    dropped = {b"connection", b"date", b"server", b"transfer-encoding"}
    status = HTTPStatus(int(status_line.split(maxsplit=2)[1]))
    return _Head(status, [field for field in headers if field[0] not in dropped])


async def _pass_stream(reader: asyncio.StreamReader, send: Send) -> None:
    while data := await reader.read(_READ_BYTES):
        async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
            await send({"type": "http.response.body", "body": data, "more_body": True})
