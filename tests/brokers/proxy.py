"""A TCP proxy for a Kafka broker that can drop the answers of one kind of request."""

import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from enum import Enum
from types import TracebackType
from typing import Self

from tests.brokers.protocol import Api

_LENGTH = struct.Struct(">i")
_REQUEST_HEADER = struct.Struct(">hhi")  # API key, API version, correlation id
_CORRELATION = struct.Struct(">i")


class Loss(Enum):
    """What happens to the connection after an answer was dropped."""

    CUT = "cut"  # the connection is closed
    HOLD = "hold"  # the client gets no answer until its timeout


class KafkaProxy:
    """A proxy on loopback for the clients of a broker that advertises the proxy's port.

    `lose_answers` drops the answers of later requests of one kind. The broker has processed these
    requests, but the client does not know.
    """

    def __init__(self, *, port: int, upstream: int) -> None:
        """Listen on `port` and forward to port `upstream`; both ports are on 127.0.0.1."""
        self._upstream = upstream
        self._lock = threading.Lock()
        self._remaining_losses: Counter[int] = Counter()
        self._loss = Loss.CUT
        self._loss_counts: Counter[int] = Counter()
        self._request_counts: Counter[int] = Counter()
        self._connections: set[_Connection] = set()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address = f"127.0.0.1:{port}"
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._acceptor.start()

    def lose_answers(self, api: Api, *, count: int = 1, loss: Loss = Loss.CUT) -> None:
        """Drop the answers of `count` more requests of this kind."""
        with self._lock:
            self._remaining_losses[api] += count
            self._loss = loss

    def lost_answers(self, api: Api) -> int:
        """Return the number of dropped answers of this kind."""
        with self._lock:
            return self._loss_counts[api]

    def request_count(self, api: Api) -> int:
        """Return the number of forwarded requests of this kind."""
        with self._lock:
            return self._request_counts[api]

    def cut_all(self) -> None:
        """Close every connection; clients may connect again at once."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.cut()

    def close(self) -> None:
        """Stop listening and close every connection; safe to call twice."""
        self._closing = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5)
        self.cut_all()

    def count_request(self, api: int) -> None:
        """Count a forwarded request."""
        with self._lock:
            self._request_counts[api] += 1

    def take_loss(self, api: int) -> Loss | None:
        """Return how to drop the current answer and count the loss, or None to forward it."""
        with self._lock:
            if not self._remaining_losses[api]:
                return None
            self._remaining_losses[api] -= 1
            self._loss_counts[api] += 1
            return self._loss

    def forget(self, connection: "_Connection") -> None:
        """Remove a connection that has ended."""
        with self._lock:
            self._connections.discard(connection)

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self._connect(client)

    def _connect(self, client: socket.socket) -> None:
        try:
            broker = socket.create_connection(("127.0.0.1", self._upstream), timeout=5)
        except OSError:
            client.close()
            return
        broker.settimeout(None)
        connection = _Connection(self, client, broker)
        with self._lock:
            self._connections.add(connection)
        connection.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Connection:
    """A client's connection and its connection to the broker, with a thread per direction."""

    def __init__(self, proxy: KafkaProxy, client: socket.socket, broker: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._broker = broker
        self._apis_by_correlation: dict[int, int] = {}  # correlation id -> API key
        self._one_thread_ended = threading.Lock()

    def start(self) -> None:
        for forward in (self._forward_request, self._forward_response):
            threading.Thread(target=self._forward_all, args=(forward,), daemon=True).start()

    def cut(self) -> None:
        for endpoint in (self._client, self._broker):
            with suppress(OSError):
                endpoint.shutdown(socket.SHUT_RDWR)

    def _forward_all(self, forward: Callable[[], bool]) -> None:
        with suppress(OSError):
            while forward():
                pass
        self.cut()
        # The last thread to end closes both sockets, so no socket is closed while it is read.
        if not self._one_thread_ended.acquire(blocking=False):
            self._client.close()
            self._broker.close()
            self._proxy.forget(self)

    def _forward_request(self) -> bool:
        frame = _read_frame(self._client)
        if frame is None:
            return False
        api, _, correlation = _REQUEST_HEADER.unpack_from(frame)
        self._apis_by_correlation[correlation] = api
        self._proxy.count_request(api)
        self._broker.sendall(_LENGTH.pack(len(frame)) + frame)
        return True

    def _forward_response(self) -> bool:
        frame = _read_frame(self._broker)
        if frame is None:
            return False
        (correlation,) = _CORRELATION.unpack_from(frame)
        loss = self._proxy.take_loss(self._apis_by_correlation.pop(correlation))
        if loss is None:
            self._client.sendall(_LENGTH.pack(len(frame)) + frame)
        return loss is not Loss.CUT


def _read_frame(connection: socket.socket) -> bytes | None:
    length = _read_exactly(connection, _LENGTH.size)
    return None if length is None else _read_exactly(connection, _LENGTH.unpack(length)[0])


def _read_exactly(connection: socket.socket, size: int) -> bytes | None:
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(min(size - len(data), 1 << 20))
        if not chunk:
            return None
        data += chunk
    return bytes(data)
