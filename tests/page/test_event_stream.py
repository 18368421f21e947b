"""A stream sends changes, drops a slow client, and ends with the service."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from sensorwatch.api.page import event_stream
from sensorwatch.api.page.event_stream import EventStream
from sensorwatch.api.page.incident_board import incident_board
from sensorwatch.api.page.page_feed import Delta

Send = Callable[[Any], Awaitable[None]]


async def next_delta(_known_id: str) -> Delta:
    return Delta("id-1", {"status": "line 1\nline 2"}, (), incident_board([]))


async def never(*_arguments: object) -> Any:
    await asyncio.Event().wait()


def run_stream(
    send: Send, *, receive: Callable[[], Awaitable[Any]] = never, is_stopping: bool = False
) -> int:
    """Run a stream to its end, and return how often it reported its end."""
    ends = []

    async def run() -> None:
        stopping = asyncio.Event()
        if is_stopping:
            stopping.set()
        stream = EventStream("", next_delta, stopping=stopping, on_end=lambda: ends.append(1))
        await asyncio.wait_for(stream({"type": "http"}, receive, send), 10)

    asyncio.run(run())
    return len(ends)


def test_a_slow_client_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_stream, "SEND_TIMEOUT_SECONDS", 0.05)
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)
        if message["type"] == "http.response.body":
            await never()

    ends = run_stream(send)

    assert ends == 1
    # A response without a last message makes the server close the connection.
    assert all(message.get("more_body", True) for message in messages)


def test_an_event_is_one_line_of_data() -> None:
    texts: list[str] = []

    async def receive() -> Any:
        while not texts or "data:" not in texts[-1]:
            await asyncio.sleep(0.001)
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        if message.get("body"):
            texts.append(message["body"].decode())

    ends = run_stream(send, receive=receive)

    assert ends == 1
    assert texts[0].startswith("retry: ")
    assert (
        texts[1]
        == 'id: id-1\ndata: {"parts":{"status":"line 1\\nline 2"},"order":[],"lanes":null}\n\n'
    )


def test_a_stream_ends_when_the_service_stops() -> None:
    messages: list[Any] = []

    async def send(message: Any) -> None:
        messages.append(message)

    ends = run_stream(send, is_stopping=True)

    assert ends == 1
    assert messages[-1] == {"type": "http.response.body", "body": b""}
