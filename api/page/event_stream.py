"""Server-sent events: the changes of the page, once a second."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from sensorwatch.api.page.page_feed import Delta
from sensorwatch.common.runtime.logs import logger

INTERVAL_SECONDS = 1.0
SEND_TIMEOUT_SECONDS = 10.0
"""A client that does not receive an event within this time is disconnected."""
STREAM_SECONDS = 600.0
"""After this time the stream ends, and the browser connects again."""
COMMENT_EVERY = 15
"""A comment is sent after this number of intervals without a change, so that proxies keep the
connection open."""
RETRY_MILLISECONDS = 2_000

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_log = logger("page")


class EventStream(Response):
    """A response that sends each change of the page until the client or the service ends it."""

    def __init__(
        self,
        known_id: str,
        next_delta: Callable[[str], Awaitable[Delta]],
        *,
        stopping: asyncio.Event,
        on_end: Callable[[], None],
    ) -> None:
        """`known_id`: id of the newest revision that the client has; empty if it has none."""
        super().__init__()
        self._known_id, self._next_delta = known_id, next_delta
        self._stopping, self._on_end = stopping, on_end

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Send events until the client disconnects, takes too long, or the service stops."""
        try:
            await send_until_disconnect(
                self._send_events(send), receive, send, stopping=self._stopping
            )
        finally:
            self._on_end()

    async def _send_events(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await _send_text(send, f"retry: {RETRY_MILLISECONDS}\n\n")
        order: tuple[str, ...] | None = None
        quiet_intervals = 0
        while True:
            delta = await self._next_delta(self._known_id)
            if delta.id != self._known_id or delta.order != order:
                await _send_text(send, event_text(delta))
                self._known_id, order, quiet_intervals = delta.id, delta.order, 0
            else:
                quiet_intervals += 1
                if quiet_intervals % COMMENT_EVERY == 0:
                    await _send_text(send, ": no change\n\n")
            await asyncio.sleep(INTERVAL_SECONDS)


def event_text(delta: Delta) -> str:
    """Return a delta as a server-sent event."""
    data = msgspec.json.encode(
        {"parts": delta.parts, "order": delta.order, "lanes": delta.lanes}
    ).decode()
    return f"id: {delta.id}\ndata: {data}\n\n"


async def _send_text(send: Send, text: str) -> None:
    message = {"type": "http.response.body", "body": text.encode(), "more_body": True}
    async with asyncio.timeout(SEND_TIMEOUT_SECONDS):
        await send(message)


async def send_until_disconnect(
    sending: Coroutine[Any, Any, None], receive: Receive, send: Send, *, stopping: asyncio.Event
) -> None:
    """Run `sending`, then end the response.

    `sending` is cancelled if the client disconnects, if the service stops, and after
    STREAM_SECONDS. If it raises TimeoutError, the client is too slow; its response gets no end, so
    that the server closes the connection.
    """
    task = asyncio.create_task(sending)
    waits = [
        task,
        asyncio.create_task(_wait_for_disconnect(receive)),
        asyncio.create_task(stopping.wait()),
    ]
    try:
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED, timeout=STREAM_SECONDS)
    finally:
        for wait in waits:
            wait.cancel()
        await asyncio.wait(waits)
    if not task.cancelled() and isinstance(task.exception(), TimeoutError):
        _log.warning("a browser was too slow to receive the page, and was disconnected")
        return
    with suppress(TimeoutError):
        async with asyncio.timeout(1):
            await send({"type": "http.response.body", "body": b""})


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
