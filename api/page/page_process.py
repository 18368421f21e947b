"""The process that reads topics and renders the page, and the thread that keeps it running.

In the process of the service, the page would delay the answers of /predict.
"""

import asyncio
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path

import msgspec
from anyio import to_thread
from starlette.responses import HTMLResponse, Response
from starlette.types import Receive, Scope, Send

from sensorwatch.api.page.access import SECURITY_HEADERS
from sensorwatch.api.page.page_backend import ModelInUse
from sensorwatch.api.page.page_forwarder import PageGone, forward
from sensorwatch.api.page.page_templates import render
from sensorwatch.api.problem_details import Problem
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.setting_keys import Settings

RESTART_PAUSES_SECONDS = (0.5, 2.0, 5.0, 30.0)
STABLE_SECONDS = 60.0
"""After this running time, earlier ends of the process no longer lengthen the pause."""
POLL_SECONDS = 0.2
STOP_SECONDS = 2.0
"""At the stop of the service, the process has this time to end by itself."""
LISTEN_BACKLOG = 128
_HTML_PATHS = ("/", "/sensor", "/odd", "/verdict")

_log = logger("page")


class PageProcess:
    """The page of a service, in a child process.

    The child gets the settings and the model in use as lines of its standard input. It ends when
    its standard input closes, so it does not outlive this process. The socket belongs to this
    process: requests that arrive while the child starts wait in the socket.
    """

    def __init__(self, settings: Settings, model_in_use: ModelInUse) -> None:
        self.settings, self._model_in_use = settings, model_in_use
        self.stopping = asyncio.Event()
        """Set when the service stops, so that the streams end."""
        self._stop_requested = threading.Event()
        self._thread = threading.Thread(target=self._run, name="page-process", daemon=True)
        self._folder: Path | None = None
        self.process_id: int | None = None
        """The id of the child process, or None if it does not run."""

    @property
    def is_enabled(self) -> bool:
        """Return whether there is a page."""
        return self.settings.page.hours > 0

    def start(self) -> None:
        """Start the child process; do nothing if the page is switched off."""
        if self.is_enabled:
            # Only this user can enter the folder, so no other user can go round the access control.
            self._folder = Path(tempfile.mkdtemp(prefix="sensorwatch-page-"))
            self._thread.start()

    async def stop(self) -> None:
        """End all streams and the child process."""
        self.stopping.set()
        self._stop_requested.set()
        if self._folder is not None:
            await to_thread.run_sync(self._thread.join)
            shutil.rmtree(self._folder, ignore_errors=True)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request by the response of the child, or say that the page starts again."""
        if self.process_id is not None:
            with suppress(PageGone):
                await forward(self._socket_path, scope, receive, send, stopping=self.stopping)
                return
        await _restart_notice(scope["path"])(scope, receive, send)

    @property
    def _socket_path(self) -> Path:
        assert self._folder is not None
        return self._folder / "socket"

    def _run(self) -> None:
        """Keep a child process running until the service stops."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
            listener.bind(str(self._socket_path))
            listener.listen(LISTEN_BACKLOG)
            ends = 0
            while not self._stop_requested.is_set():
                started_at = time.monotonic()
                exit_code = self._run_child(listener)
                if self._stop_requested.is_set():
                    return
                ends = 0 if time.monotonic() - started_at > STABLE_SECONDS else ends
                pause = RESTART_PAUSES_SECONDS[min(ends, len(RESTART_PAUSES_SECONDS) - 1)]
                ends += 1
                _log.warning(
                    "the process of the page ended", code=exit_code, restart_in_seconds=pause
                )
                self._stop_requested.wait(pause)

    def _run_child(self, listener: socket.socket) -> int:
        """Run one child process until it ends or the service stops; return its exit code."""
        command = [sys.executable, "-m", "sensorwatch.api.page", str(listener.fileno())]
        process = subprocess.Popen(  # noqa: S603 - this Python, our own program
            command,
            stdin=subprocess.PIPE,
            pass_fds=[listener.fileno()],
            # Ctrl-C in a terminal ends only this process, which then ends the child.
            start_new_session=True,
        )
        self.process_id = process.pid
        try:
            self._supervise(process)
        finally:
            self.process_id = None
            _end(process)
        return process.returncode

    def _supervise(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdin is not None
        model = self._model_in_use()
        with suppress(BrokenPipeError):
            process.stdin.write(self.settings.model_dump_json(by_alias=True).encode() + b"\n")
            _write_model(process, model)
            while process.poll() is None and not self._stop_requested.wait(POLL_SECONDS):
                newest_model = self._model_in_use()
                if newest_model != model:
                    model = newest_model
                    _write_model(process, model)


def _write_model(process: "subprocess.Popen[bytes]", model: str | None) -> None:
    assert process.stdin is not None
    process.stdin.write(msgspec.json.encode(model) + b"\n")
    process.stdin.flush()


def _end(process: "subprocess.Popen[bytes]") -> None:
    """Close the standard input of the process, so that it ends; kill it if it does not."""
    assert process.stdin is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _restart_notice(path: str) -> Response:
    """Return the answer to a request while the child does not run."""
    text = "The page starts again, which takes a few seconds. /predict and all other routes work."
    headers = {"Retry-After": "2"}
    if path not in _HTML_PATHS:
        return Problem(HTTPStatus.SERVICE_UNAVAILABLE, text, headers=headers).response()
    page = render("notice.html", title="The page starts", text=text, reload_seconds=2)
    return HTMLResponse(page, HTTPStatus.SERVICE_UNAVAILABLE, SECURITY_HEADERS | headers)
