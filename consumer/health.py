"""A small HTTP server with the metrics and with whether the process is alive and ready."""

import socket
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from sensorwatch.common.errors import SettingsError
from sensorwatch.common.runtime.logs import logger

Check = Callable[[], str | None]
"""None: fine; a text: why not."""


class Heartbeat:
    """Says that a loop is stuck when it did not beat for `limit_seconds`."""

    def __init__(self, clock: Callable[[], float], limit_seconds: float) -> None:
        """`clock`: monotonic seconds. The start counts as a beat."""
        self._clock, self._limit = clock, limit_seconds
        self._last = clock()

    def beat(self) -> None:
        """Note that the loop came round."""
        self._last = self._clock()

    def live(self) -> str | None:
        """Return why the process should be restarted, or None."""
        silent = self._clock() - self._last
        if silent <= self._limit:
            return None
        return f"the loop is stuck: no beat for {silent:.1f} s, at most {self._limit:g} s are fine"


class HealthServer:
    """Serves /metrics, /livez and /readyz on a daemon thread until `close`."""

    def __init__(self, server: "_Server") -> None:
        self._server = server
        self.host: str = server.server_address[0]
        self.port: int = server.server_address[1]
        self._thread = threading.Thread(
            target=server.serve_forever, kwargs={"poll_interval": 0.1}, name="health", daemon=True
        )
        self._thread.start()

    @property
    def address(self) -> str:
        """The base URL."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    def close(self) -> None:
        """Stop serving and give the port back."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


def serve_health(
    host: str,
    port: int,
    *,
    registry: CollectorRegistry,
    live: Check,
    ready: Check,
    key: str = "[consumer] http_port",
) -> HealthServer:
    """Start the server; port 0 takes any free one. `key`: where the port is set, for messages.

    Raises SettingsError when the address cannot be taken.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return HealthServer(_Server(family, (host, port), registry, live, ready))
    except OSError as error:
        raise SettingsError(
            f"cannot serve health and metrics on {host}:{port}: {error.strerror or error}; "
            f"free the port or set {key} to another (0: any free one)"
        ) from error


class _Server(ThreadingMixIn, TCPServer):
    """Not http.server's HTTPServer: that asks the name service for its own name at the start."""

    daemon_threads = True
    allow_reuse_address = True
    server_address: tuple[str, int]

    def __init__(
        self,
        family: int,
        address: tuple[str, int],
        registry: CollectorRegistry,
        live: Check,
        ready: Check,
    ) -> None:
        self.address_family = family
        self.registry = registry
        self.checks = {"/livez": live, "/readyz": ready}
        super().__init__(address, _Handler)

    def handle_error(self, *_request: object) -> None:
        """Log what a check or the registry raised; a client that left is no error."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            logger("health").error("request failed", exception=error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # seconds until a client that says nothing is dropped

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept") or "")
            self._answer(200, encode(self.server.registry), content_type)
        elif path in self.server.checks:
            problem = self.server.checks[path]()
            self._answer(503 if problem else 200, f"{problem or 'ok'}\n".encode())
        else:
            self._answer(404, b"not here: try /metrics, /livez or /readyz\n")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Keep quiet: a probe every second is no event."""

    def _answer(
        self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
