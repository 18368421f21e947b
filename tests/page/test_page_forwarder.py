"""Requests for the page are passed through a Unix socket; an incomplete response is never sent."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest

from sensorwatch.api.page import page_forwarder
from sensorwatch.api.page.page_forwarder import PageGone, forward

Message = dict[str, Any]
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SCOPE = {
    "type": "http",
    "method": "GET",
    "path": "/odd",
    "raw_path": b"/odd",
    "query_string": b"from=1&to=2",
    "headers": [(b"last-event-id", b"a-1-2"), (b"cookie", b"secret"), (b"x-api-key", b"secret")],
}


async def never() -> Any:
    await asyncio.Event().wait()


def answer_of(socket_path: Path, handler: Handler | None, **arguments: Any) -> list[Message]:
    """Return the messages that are sent for a request that `handler` answers."""
    messages: list[Message] = []

    async def send(message: Any) -> None:
        messages.append(message)

    async def run() -> None:
        receive, stopping = arguments.get("receive", never), asyncio.Event()
        async with AsyncExitStack() as stack:
            if handler is not None:
                server = await asyncio.start_unix_server(closing(handler), socket_path)
                await stack.enter_async_context(server)
            await asyncio.wait_for(
                forward(socket_path, SCOPE, receive, send, stopping=stopping), 10
            )

    try:
        asyncio.run(run())
    except PageGone:
        assert messages == []
        raise
    return messages


def closing(handler: Handler) -> Handler:
    """Return a handler that closes its connection at the end."""

    async def closing_handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await handler(reader, writer)
        finally:
            writer.close()

    return closing_handler


def answering(response: bytes, requests: list[bytes]) -> Handler:
    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(response)

    return handler


def test_a_response_is_passed_with_status_and_headers(tmp_path: Path) -> None:
    requests: list[bytes] = []
    head = (
        b"HTTP/1.1 404 Not Found\r\nServer: x\r\nContent-Length: 2\r\nX-Frame-Options: DENY\r\n\r\n"
    )

    start, body = answer_of(tmp_path / "s", answering(head + b"ok", requests))

    assert start["status"] == 404
    assert start["headers"] == [(b"content-length", b"2"), (b"x-frame-options", b"DENY")]
    assert body == {"type": "http.response.body", "body": b"ok"}
    assert requests[0].startswith(b"GET /odd?from=1&to=2 HTTP/1.0\r\n")
    assert b"last-event-id: a-1-2\r\n" in requests[0]
    assert b"secret" not in requests[0]


def test_a_stream_is_passed_until_its_end(tmp_path: Path) -> None:
    response = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n"

    messages = answer_of(tmp_path / "s", answering(response, []))

    assert messages[0]["headers"] == [(b"content-type", b"text/event-stream")]
    assert b"".join(message["body"] for message in messages[1:]) == b"data: 1\n\n"
    assert messages[-1] == {"type": "http.response.body", "body": b""}


def test_a_stream_ends_when_the_client_disconnects(tmp_path: Path) -> None:
    async def handler(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await never()

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    messages = answer_of(tmp_path / "s", handler, receive=receive)

    assert messages[-1] == {"type": "http.response.body", "body": b""}


@pytest.mark.parametrize(
    "response",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\ncontent-length: ten\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"x" * 40_000,
    ],
)
def test_an_incomplete_response_is_not_sent(tmp_path: Path, response: bytes) -> None:
    with pytest.raises(PageGone):
        answer_of(tmp_path / "s", answering(response, []))


def test_a_page_that_does_not_answer_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def silent(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await never()

    monkeypatch.setattr(page_forwarder, "ANSWER_SECONDS", 0.05)

    with pytest.raises(PageGone):
        answer_of(tmp_path / "s", silent)
    with pytest.raises(PageGone):
        answer_of(tmp_path / "missing", None)
