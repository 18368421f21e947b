"""`python -m sensorwatch.api.page FD`: the process that reads topics and renders the page.

FD is an open Unix socket. The first line of the standard input has the settings as JSON. Each
further line has the id of the model version in use. The process ends when the standard input
closes.
"""

import os
import socket
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import uvicorn
from fastapi import FastAPI
from starlette.types import Lifespan

from sensorwatch.api.page.live_page import LivePage
from sensorwatch.api.page.page_app import create_page_app
from sensorwatch.common.runtime.logs import configure
from sensorwatch.common.runtime.setting_keys import Settings

NICENESS = 10
"""The page has a lower priority than the process that scores rows."""
SHUTDOWN_SECONDS = 1


class _ModelInUse:
    """The newest line of the standard input after the settings."""

    def __init__(self) -> None:
        self.model: str | None = None
        self.is_ended = False
        """Whether the standard input has ended."""

    def __call__(self) -> str | None:
        return self.model

    def follow(self, lines: BinaryIO, server: uvicorn.Server) -> None:
        """Read lines until the end of the input, then stop the server."""
        for line in lines:
            self.model = msgspec.json.decode(line, type=str | None)
        self.is_ended = True
        server.should_exit = True


def main(descriptor: int, lines: BinaryIO) -> None:
    """Serve the page until `lines` end."""
    os.nice(NICENESS)
    settings = Settings.model_validate_json(lines.readline())
    configure(settings.log.format, settings.log.level)
    model_in_use = _ModelInUse()
    page = LivePage(settings, model_in_use)
    config = uvicorn.Config(
        create_page_app(page, lifespan=_lifespan_of(page)),
        log_config=None,
        access_log=False,
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
    )
    server = uvicorn.Server(config)
    threading.Thread(target=model_in_use.follow, args=(lines, server), daemon=True).start()
    with socket.socket(fileno=descriptor) as listener:
        socket_path = Path(listener.getsockname())
        server.run(sockets=[listener])
    if model_in_use.is_ended:
        _remove_socket(socket_path)


def _remove_socket(path: Path) -> None:
    """Remove the socket and its folder, in case that the service was killed."""
    with suppress(OSError):
        path.unlink()
        path.parent.rmdir()


def _lifespan_of(page: LivePage) -> Lifespan[FastAPI]:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[dict[str, Any]]:
        page.start()
        try:
            yield {}
        finally:
            await page.stop()

    return lifespan


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.stdin.buffer)
