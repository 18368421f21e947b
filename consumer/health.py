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

HealthCheck = Callable[[], str | None]
"""A health check. The check returns None if it passes, else the reason why it fails."""


class Heartbeat:
    """Detects that the loop has not called `beat` for `limit_seconds`."""

    def __init__(self, clock: Callable[[], float], limit_seconds: float) -> None:
        """Start as if the loop had just called `beat`; `clock` returns monotonic seconds."""
        self._clock, self._limit = clock, limit_seconds
        self._last_beat = clock()

    def beat(self) -> None:
        """Record that the loop is running."""
        self._last_beat = self._clock()

    def stuck_reason(self) -> str | None:
        """Return the reason why the loop counts as stuck, or None if it does not."""
        silent_seconds = self._clock() - self._last_beat
        if silent_seconds <= self._limit:
            return None
        return (
            f"the loop is stuck: no beat for {silent_seconds:.1f} s, the limit is {self._limit:g} s"
        )


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
        """The base URL of the server."""
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
    live: HealthCheck,
    ready: HealthCheck,
    key: str = "[consumer] http_port",
) -> HealthServer:
    """Start a health server and return it; with port 0, the system chooses a free port.

    `live` and `ready` are the checks that /livez and /readyz run. `key` is the name of the port's
    setting, for error messages. Raises SettingsError if the address cannot be used.
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
    """An HTTP server that, unlike http.server's HTTPServer, does not look up its own host name."""

    daemon_threads = True
    allow_reuse_address = True
    server_address: tuple[str, int]

    def __init__(
        self,
        family: int,
        address: tuple[str, int],
        registry: CollectorRegistry,
        live: HealthCheck,
        ready: HealthCheck,
    ) -> None:
        self.address_family = family
        self.registry = registry
        self.checks = {"/livez": live, "/readyz": ready}
        super().__init__(address, _Handler)

    def handle_error(self, *_request: object) -> None:
        """Log an error of a check or of the registry. A client that disconnects is not an error."""
        error = sys.exception()
        if error is not None and not isinstance(error, OSError):
            logger("health").error("request failed", exception=error)


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = 10  # a client that sends nothing for 10 seconds is disconnected

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/metrics":
            encode, content_type = choose_encoder(self.headers.get("Accept") or "")
            self._respond(200, encode(self.server.registry), content_type)
        elif path in self.server.checks:
            problem = self.server.checks[path]()
            self._respond(503 if problem else 200, f"{problem or 'ok'}\n".encode())
        else:
            self._respond(404, b"not found: use /metrics, /livez or /readyz\n")

    do_HEAD = do_GET  # noqa: N815 - the name that http.server calls

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
        """Log no requests, because probes arrive every second."""

    def _respond(
        self, status: int, body: bytes, content_type: str = "text/plain; charset=utf-8"
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
