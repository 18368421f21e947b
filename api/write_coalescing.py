"""Sends the head and the body of a response in one packet."""

import asyncio
from typing import Any

from uvicorn.protocols.http.h11_impl import H11Protocol


class CoalescingTransport:
    """A transport that joins all writes of one event loop iteration into one system call.

    uvicorn writes head and body separately, and a system call takes as long as scoring a row.
    """

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop) -> None:
        self._transport, self._loop = transport, loop
        self._pending: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send `data`, after all earlier writes, at the end of the event loop iteration."""
        if not data:
            return
        if not self._pending:
            self._loop.call_soon(self._flush)
        self._pending.append(data)

    def close(self) -> None:
        """Send all pending writes, then close the transport."""
        self._flush()
        self._transport.close()

    def __getattr__(self, name: str) -> Any:
        """Forward every other attribute to the wrapped transport."""
        return getattr(self._transport, name)

    def _flush(self) -> None:
        if self._pending:
            self._transport.write(b"".join(self._pending))
            self._pending.clear()


class CoalescingProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 protocol with a transport that joins writes."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wrap the transport of a new connection, so that its writes are joined."""
        super().connection_made(CoalescingTransport(transport, self.loop))  # type: ignore[arg-type]

    def shutdown(self) -> None:
        """End the streams of the live page, so that the server need not wait for them."""
        service = self.app_state.get("service")
        if service is not None:
            service.page.stopping.set()
        super().shutdown()
