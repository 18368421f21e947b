"""An HTTP server for metrics, liveness and readiness."""

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
"""Returns None if the check passes, else the reason why not."""


class Heartbeat:
    """Detects a loop that did not beat for `limit_seconds`."""

    def __init__(self, clock: Callable[[], float], limit_seconds: float) -> None:
        """Start with a beat; `clock` returns monotonic seconds."""
        self._clock, self._limit = clock, limit_seconds
        self._last = clock()

    def beat(self) -> None:
        """Note that the loop is alive."""
        self._last = self._clock()

    def stuck_reason(self) -> str | None:
        """Return why the loop counts as stuck, or None."""
        silent = self._clock() - self._last
        if silent <= self._limit:
            return None
        return f"the loop is stuck: no beat for {silent:.1f} s, the limit is {self._limit:g} s"


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
        """Stop serving and free the port."""
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
    """Start and return the server; port 0 takes any free port.

    `live` and `ready` are the checks behind /livez and /readyz. `key` names the port's setting in
    messages. Raises SettingsError if the address cannot be used.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return HealthServer(_Server(family, (host, port), registry, live, ready))
    except OSError as error:
        raise SettingsError(
            f"cannot serve health and metrics on {host}:{port}: {error.strerror or error}; "
            f"free the port or set {key} to another port (0: any free port)"
        ) from error


class _Server(ThreadingMixIn, TCPServer):
    """A TCPServer, because http.server's HTTPServer looks up its own host name at the start."""

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
        """Log an error of a check or the registry; a client that disconnects is no error."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            logger("health").error("request failed", exception=error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # seconds until a silent client is disconnected

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept") or "")
            self._answer(200, encode(self.server.registry), content_type)
        elif path in self.server.checks:
            problem = self.server.checks[path]()
            self._answer(503 if problem else 200, f"{problem or 'ok'}\n".encode())
        else:
            self._answer(404, b"not found: use /metrics, /livez or /readyz\n")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Log nothing: probes come every second."""

    def _answer(
        self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
