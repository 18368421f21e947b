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

_FRAME_LENGTH = struct.Struct(">i")
_REQUEST_HEADER = struct.Struct(">hhi")  # API key, API version, correlation id
_CORRELATION_ID = struct.Struct(">i")


class Loss(Enum):
    """What the proxy does with a connection after it has dropped an answer."""

    CLOSED_CONNECTION = "cut"  # the connection is closed
    OPEN_CONNECTION = "hold"  # the client gets no answer until its timeout


class KafkaProxy:
    """A proxy on 127.0.0.1 between clients and a broker that advertises the proxy's port.

    `lose_answers` drops the answers to the next requests of one kind. The broker has processed
    these requests, but the client does not learn that.
    """

    def __init__(self, *, port: int, broker_port: int) -> None:
        """Listen on `port` and forward to the broker's port `broker_port`, both on 127.0.0.1."""
        self._broker_port = broker_port
        self._lock = threading.Lock()
        self._remaining_losses: Counter[int] = Counter()
        self._loss = Loss.CLOSED_CONNECTION
        self._loss_counts: Counter[int] = Counter()
        self._request_counts: Counter[int] = Counter()
        self._connections: set[_Connection] = set()
        self._listener = socket.create_server(("127.0.0.1", port))
        self.address = f"127.0.0.1:{port}"
        self._closing = False
        self._acceptor = threading.Thread(target=self._accept_clients, name="proxy", daemon=True)
        self._acceptor.start()

    def lose_answers(
        self, api: Api, *, count: int = 1, loss: Loss = Loss.CLOSED_CONNECTION
    ) -> None:
        """Drop the answers to the next `count` requests of this kind."""
        with self._lock:
            self._remaining_losses[api] += count
            self._loss = loss

    def lost_answers(self, api: Api) -> int:
        """Return the number of dropped answers to requests of this kind."""
        with self._lock:
            return self._loss_counts[api]

    def request_count(self, api: Api) -> int:
        """Return the number of forwarded requests of this kind."""
        with self._lock:
            return self._request_counts[api]

    def close_all_connections(self) -> None:
        """Close every connection; clients may connect again at once."""
        with self._lock:
            connections = list(self._connections)
        for connection in connections:
            connection.close_sockets()

    def close(self) -> None:
        """Stop listening and close every connection; a second call does nothing."""
        self._closing = True
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._acceptor.join(5)
        self.close_all_connections()

    def count_request(self, api: int) -> None:
        """Count a forwarded request."""
        with self._lock:
            self._request_counts[api] += 1

    def take_loss(self, api: int) -> Loss | None:
        """Return what to do after dropping the current answer; None means: forward the answer.

        A dropped answer is counted.
        """
        with self._lock:
            if not self._remaining_losses[api]:
                return None
            self._remaining_losses[api] -= 1
            self._loss_counts[api] += 1
            return self._loss

    def remove_connection(self, connection: "_Connection") -> None:
        """Remove a connection that has ended."""
        with self._lock:
            self._connections.discard(connection)

    def _accept_clients(self) -> None:
        while not self._closing:
            try:
                client_socket, _ = self._listener.accept()
            except OSError:
                return
            self._connect(client_socket)

    def _connect(self, client_socket: socket.socket) -> None:
        try:
            broker_socket = socket.create_connection(("127.0.0.1", self._broker_port), timeout=5)
        except OSError:
            client_socket.close()
            return
        broker_socket.settimeout(None)
        connection = _Connection(self, client_socket, broker_socket)
        with self._lock:
            self._connections.add(connection)
        connection.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class _Connection:
    """A connection of a client, and the connection to the broker that belongs to it.

    One thread forwards requests, another forwards answers.
    """

    def __init__(
        self, proxy: KafkaProxy, client_socket: socket.socket, broker_socket: socket.socket
    ) -> None:
        self._proxy = proxy
        self._client = client_socket
        self._broker = broker_socket
        self._apis_by_correlation: dict[int, int] = {}  # correlation id -> API key
        self._one_thread_ended = threading.Lock()

    def start(self) -> None:
        for forward_frame in (self._forward_request, self._forward_response):
            threading.Thread(target=self._forward_all, args=(forward_frame,), daemon=True).start()

    def close_sockets(self) -> None:
        for open_socket in (self._client, self._broker):
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)

    def _forward_all(self, forward_frame: Callable[[], bool]) -> None:
        with suppress(OSError):
            while forward_frame():
                pass
        self.close_sockets()
        # Only the thread that ends last closes the sockets, so no thread reads a closed socket.
        if not self._one_thread_ended.acquire(blocking=False):
            self._client.close()
            self._broker.close()
            self._proxy.remove_connection(self)

    def _forward_request(self) -> bool:
        frame = _read_frame(self._client)
        if frame is None:
            return False
        api, _, correlation_id = _REQUEST_HEADER.unpack_from(frame)
        self._apis_by_correlation[correlation_id] = api
        self._proxy.count_request(api)
        self._broker.sendall(_FRAME_LENGTH.pack(len(frame)) + frame)
        return True

    def _forward_response(self) -> bool:
        frame = _read_frame(self._broker)
        if frame is None:
            return False
        (correlation_id,) = _CORRELATION_ID.unpack_from(frame)
        loss = self._proxy.take_loss(self._apis_by_correlation.pop(correlation_id))
        if loss is None:
            self._client.sendall(_FRAME_LENGTH.pack(len(frame)) + frame)
        return loss is not Loss.CLOSED_CONNECTION


def _read_frame(connection: socket.socket) -> bytes | None:
    encoded_length = _read_exactly(connection, _FRAME_LENGTH.size)
    return (
        None
        if encoded_length is None
        else _read_exactly(connection, _FRAME_LENGTH.unpack(encoded_length)[0])
    )


def _read_exactly(connection: socket.socket, byte_count: int) -> bytes | None:
    data = bytearray()
    while len(data) < byte_count:
        chunk = connection.recv(min(byte_count - len(data), 1 << 20))
        if not chunk:
            return None
        data += chunk
    return bytes(data)
