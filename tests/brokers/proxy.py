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
_REQUEST_HEAD = struct.Struct(">hhi")  # API key, API version, correlation id
_CORRELATION = struct.Struct(">i")


class Loss(Enum):
    """What happens to the connection after an answer was dropped."""

    CUT = "cut"  # the connection is closed
    HOLD = "hold"  # the client gets no answer until its timeout


class KafkaProxy:
    """A proxy on loopback; all clients of a broker that advertises `port` connect through it.

    `lose_answers` drops the answers of later requests of one kind. The broker has processed such a
    request, but the client cannot know.
    """

    def __init__(self, *, port: int, upstream: int) -> None:
        """Listen on `port` and forward to the port `upstream`, both on 127.0.0.1."""
        self._upstream = upstream
        self._lock = threading.Lock()
        self._due_losses: Counter[int] = Counter()
        self._loss = Loss.CUT
        self._lost_answers: Counter[int] = Counter()
        self._seen: Counter[int] = Counter()
        self._connections: set[_Connection] = set()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address = f"127.0.0.1:{port}"
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept, name="proxy", daemon=True)
        self._acceptor.start()

    def lose_answers(self, api: Api, *, count: int = 1, loss: Loss = Loss.CUT) -> None:
        """Drop the answers of `count` more requests of this kind."""
        with self._lock:
            self._due_losses[api] += count
            self._loss = loss

    def lost_answers(self, api: Api) -> int:
        """Return the number of dropped answers of this kind."""
        with self._lock:
            return self._lost_answers[api]

    def seen(self, api: Api) -> int:
        """Return the number of forwarded requests of this kind."""
        with self._lock:
            return self._seen[api]

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

    def note_request(self, api: int) -> None:
        """Count a forwarded request."""
        with self._lock:
            self._seen[api] += 1

    def take_loss(self, api: int) -> Loss | None:
        """Return how to drop the current answer, and count it; None if it is not dropped."""
        with self._lock:
            if not self._due_losses[api]:
                return None
            self._due_losses[api] -= 1
            self._lost_answers[api] += 1
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
    """A client's connection and the one to the broker, with one thread per direction."""

    def __init__(self, proxy: KafkaProxy, client: socket.socket, broker: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._broker = broker
        self._apis: dict[int, int] = {}  # correlation id -> API key
        self._ended = threading.Lock()

    def start(self) -> None:
        for pump in (self._requests, self._responses):
            threading.Thread(target=self._pump, args=(pump,), daemon=True).start()

    def cut(self) -> None:
        for end in (self._client, self._broker):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _pump(self, forward_one: Callable[[], bool]) -> None:
        with suppress(OSError):
            while forward_one():
                pass
        self.cut()
        # The second thread closes both sockets, so that none is closed while it is read.
        if not self._ended.acquire(blocking=False):
            self._client.close()
            self._broker.close()
            self._proxy.forget(self)

    def _requests(self) -> bool:
        frame = _read_frame(self._client)
        if frame is None:
            return False
        api, _, correlation = _REQUEST_HEAD.unpack_from(frame)
        self._apis[correlation] = api
        self._proxy.note_request(api)
        self._broker.sendall(_LENGTH.pack(len(frame)) + frame)
        return True

    def _responses(self) -> bool:
        frame = _read_frame(self._broker)
        if frame is None:
            return False
        (correlation,) = _CORRELATION.unpack_from(frame)
        loss = self._proxy.take_loss(self._apis.pop(correlation))
        if loss is None:
            self._client.sendall(_LENGTH.pack(len(frame)) + frame)
        return loss is not Loss.CUT


def _read_frame(source: socket.socket) -> bytes | None:
    head = _read_exactly(source, _LENGTH.size)
    return None if head is None else _read_exactly(source, _LENGTH.unpack(head)[0])


def _read_exactly(source: socket.socket, size: int) -> bytes | None:
    received = bytearray()
    while len(received) < size:
        chunk = source.recv(min(size - len(received), 1 << 20))
        if not chunk:
            return None
        received += chunk
    return bytes(received)
