"""An HTTP server in this process, which records requests and answers as the test wants."""

import json
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self


@dataclass(slots=True)
class HttpTarget:
    """Records the JSON of each POST request.

    `answer`: returns the status for the JSON of a request, and may wait.
    """

    answer: Callable[[Any], int] = lambda _value: 200
    location: str = ""
    """The header `Location` of each answer."""
    values: list[Any] = field(default_factory=list)
    """The JSON of each request, in the order of arrival."""
    authorizations: list[str | None] = field(default_factory=list)
    """The header `Authorization` of each request."""
    _server: ThreadingHTTPServer | None = None

    def __enter__(self) -> Self:
        target = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                value = json.loads(body)
                target.authorizations.append(self.headers["Authorization"])
                status = target.answer(value)
                target.values.append(value)
                self.send_response(status)
                if target.location:
                    self.send_header("Location", target.location)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - http.server's name
                """Log nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True
        ).start()
        return self

    def __exit__(self, *_error: object) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        """The base URL."""
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.server_address[1]}"
