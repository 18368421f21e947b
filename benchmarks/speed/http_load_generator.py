"""Send requests to an HTTP server over persistent connections, one at a time per connection.

`python -m benchmarks.speed.http_load_generator PORT BODIES SECONDS` writes its measurements as
JSON. BODIES is a file with a JSON list of request bodies; each body has a connection of its own.
The client uses raw sockets in one thread, because a client library would use more CPU than the
measured server. Another connection requests /livez up to 100 times per second, like a health probe.
"""

import json
import math
import selectors
import socket
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

PROBE_INTERVAL_SECONDS = 0.01
_READ_BYTES = 1 << 20


@dataclass(slots=True)
class LoadConnection:
    """A connection that waits for each response before it sends its next request."""

    connection: socket.socket
    request: bytes
    sent_at: float = 0.0
    response: bytearray = field(default_factory=bytearray)
    response_length: int = 0
    """Length of the complete response; 0 until the header has arrived."""
    seconds: list[float] = field(default_factory=list)

    def send_request(self) -> None:
        """Send the request; return when the socket's buffer contains the complete request."""
        self.response.clear()
        self.response_length = 0
        self.sent_at = time.perf_counter()
        self.connection.sendall(self.request)

    def read(self) -> bool:
        """Read the available bytes; return True if the response is now complete."""
        received_bytes = self.connection.recv(_READ_BYTES)
        if not received_bytes:
            raise ConnectionError("the server closed the connection")
        self.response += received_bytes
        if not self.response_length:
            self.response_length = _response_length(self.response)
        if not self.response_length or len(self.response) < self.response_length:
            return False
        self.seconds.append(time.perf_counter() - self.sent_at)
        return True


def measure_load(port: int, bodies: list[bytes], seconds: float) -> dict[str, list[float]]:
    """Send requests for `seconds`; return the response times of rows and of the probe, in seconds.

    The measurement begins when every connection has had a response, so that it does not include
    the compilation.
    """
    with ExitStack() as stack:
        connections = [_connect(stack, port, _post_request(body)) for body in bodies]
        probe = _connect(stack, port, b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        selector = stack.enter_context(selectors.DefaultSelector())
        for load_connection in (*connections, probe):
            selector.register(load_connection.connection, selectors.EVENT_READ, load_connection)
            load_connection.send_request()
        _run_load(selector, connections, probe, seconds)
    return {
        "rows": [
            response_seconds
            for load_connection in connections
            for response_seconds in load_connection.seconds
        ],
        "probe": probe.seconds,
    }


def _run_load(
    selector: selectors.BaseSelector,
    connections: list[LoadConnection],
    probe: LoadConnection,
    seconds: float,
) -> None:
    end_time, next_probe_time = math.inf, 0.0
    while (now := time.perf_counter()) < end_time:
        if end_time == math.inf and all(load_connection.seconds for load_connection in connections):
            end_time = now + seconds
            for load_connection in (*connections, probe):
                load_connection.seconds.clear()
        if 0.0 < next_probe_time <= now:
            next_probe_time = 0.0
            probe.send_request()
        for key, _ in selector.select(PROBE_INTERVAL_SECONDS):
            load_connection = key.data
            if not load_connection.read():
                continue
            if load_connection is probe:
                next_probe_time = load_connection.sent_at + PROBE_INTERVAL_SECONDS
            else:
                load_connection.send_request()


def _connect(stack: ExitStack, port: int, request: bytes) -> LoadConnection:
    address = ("127.0.0.1", port)
    connection = stack.enter_context(socket.create_connection(address, timeout=60))
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return LoadConnection(connection, request)


def _post_request(body: bytes) -> bytes:
    header = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{header}Content-Length: {len(body)}\r\n\r\n".encode() + body


def _response_length(response: bytearray) -> int:
    header_end = response.find(b"\r\n\r\n")
    if header_end < 0:
        return 0
    header = bytes(response[:header_end]).lower()
    if not header.startswith(b"http/1.1 200 "):
        raise ConnectionError(f"the server answered {bytes(response[:2000])!r}")
    return header_end + 4 + int(header.partition(b"content-length: ")[2].partition(b"\r\n")[0])


if __name__ == "__main__":
    texts = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    response_times = measure_load(
        int(sys.argv[1]), [text.encode() for text in texts], float(sys.argv[3])
    )
    json.dump(response_times, sys.stdout)
