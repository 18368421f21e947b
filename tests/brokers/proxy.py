"""A TCP proxy before a Kafka broker that understands just enough to lose the right answer."""

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
    """What happens to the connection whose answer was swallowed."""

    CUT = "cut"  # the client sees a lost connection
    HOLD = "hold"  # the client sees silence, until its own timeout


class KafkaProxy:
    """A proxy on loopback; a broker that advertises `port` has all its clients pass here.

    `lose_answers` loses the answers of coming requests of one kind: the broker has done what it was
    asked, and the client cannot know.
    """

    def __init__(self, *, port: int, upstream: int) -> None:
        """Listen on `port` and pass everything on to the port `upstream`, both on 127.0.0.1."""
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
        """Lose the answers of the next `count` requests of this kind, beside those still due."""
        with self._lock:
            self._due_losses[api] += count
            self._loss = loss

    def lost_answers(self, api: Api) -> int:
        """How many answers of this kind were lost so far."""
        with self._lock:
            return self._lost_answers[api]

    def seen(self, api: Api) -> int:
        """How many requests of this kind passed so far."""
        with self._lock:
            return self._seen[api]

    def cut_all(self) -> None:
        """Cut every connection; clients may connect anew at once."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.cut()

    def close(self) -> None:
        """Stop listening and cut every connection; safe to call twice."""
        self._closing = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5)
        self.cut_all()

    def note_request(self, api: int) -> None:
        """Count a request that passes."""
        with self._lock:
            self._seen[api] += 1

    def take_loss(self, api: int) -> Loss | None:
        """Say whether the answer that has just come is to be lost, and count it if so."""
        with self._lock:
            if not self._due_losses[api]:
                return None
            self._due_losses[api] -= 1
            self._lost_answers[api] += 1
            return self._loss

    def forget(self, connection: "_Connection") -> None:
        """Take a connection that has ended off the list."""
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
    """One client's connection and its counterpart to the broker, pumped by a thread each way."""

    def __init__(self, proxy: KafkaProxy, client: socket.socket, broker: socket.socket) -> None:
        self._proxy = proxy
        self._client = client
        self._broker = broker
        self._asked: dict[int, int] = {}  # correlation id -> API key
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
        # The second thread to end closes both: neither closes what the other still reads.
        if not self._ended.acquire(blocking=False):
            self._client.close()
            self._broker.close()
            self._proxy.forget(self)

    def _requests(self) -> bool:
        frame = _read_frame(self._client)
        if frame is None:
            return False
        api, _, correlation = _REQUEST_HEAD.unpack_from(frame)
        self._asked[correlation] = api
        self._proxy.note_request(api)
        self._broker.sendall(_LENGTH.pack(len(frame)) + frame)
        return True

    def _responses(self) -> bool:
        frame = _read_frame(self._broker)
        if frame is None:
            return False
        (correlation,) = _CORRELATION.unpack_from(frame)
        loss = self._proxy.take_loss(self._asked.pop(correlation))
        if loss is None:
            self._client.sendall(_LENGTH.pack(len(frame)) + frame)
        return loss is not Loss.CUT


def _read_frame(source: socket.socket) -> bytes | None:
    head = _read_exactly(source, _LENGTH.size)
    return None if head is None else _read_exactly(source, _LENGTH.unpack(head)[0])


def _read_exactly(source: socket.socket, size: int) -> bytes | None:
    parts = bytearray()
    while len(parts) < size:
        part = source.recv(min(size - len(parts), 1 << 20))
        if not part:
            return None
        parts += part
    return bytes(parts)
