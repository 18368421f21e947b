"""The command `sensorwatch serve`: run the HTTP service."""

import signal
import socket
from types import FrameType
from typing import Annotated

import typer

from sensorwatch.common.errors import SettingsError, Unrecoverable
from sensorwatch.common.runtime.command_line import ConfigOption
from sensorwatch.common.runtime.logs import configure, logger

SHUTDOWN_SECONDS = 5
"""After SIGTERM, running requests have this time to end."""
LISTEN_BACKLOG = 2048
"""Maximum number of connections that wait to be accepted."""

_log = logger("api")


def serve(
    *,
    host: Annotated[
        str | None,
        typer.Option(
            help="Address to listen on. Default: the setting api.host.", show_default=False
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port to listen on; 0: any free port. Default: the setting api.port.",
            show_default=False,
        ),
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Serve /predict, /model, /health and /metrics over HTTP until SIGTERM or Ctrl-C."""
    import uvicorn

    from sensorwatch.api.api_key import read_key
    from sensorwatch.api.app import create_app
    from sensorwatch.api.write_coalescing import CoalescingProtocol
    from sensorwatch.common.runtime.settings import load_settings

    overrides = {"api.host": host, "api.port": port}
    settings = load_settings(config, overrides=overrides).settings
    configure(settings.log.format, settings.log.level)
    read_key(settings.api.api_key_file)  # raises SettingsError before the server starts
    listener = open_listener(settings.api.host, settings.api.port)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(lambda: settings),
            log_config=None,
            access_log=False,
            http=CoalescingProtocol,
            timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        )
    )
    # uvicorn shuts down at SIGTERM, then restores this handler and raises SIGTERM again.
    signal.signal(signal.SIGTERM, _ignore_signal)
    _log.info("serving", address=address_of(listener), model=settings.registry.model)
    try:
        server.run(sockets=[listener])
    except SystemExit as error:
        raise Unrecoverable("the service could not start; the log lines above say why") from error
    _log.info("stopped")


def open_listener(host: str, port: int) -> socket.socket:
    """Return a socket that listens on an address; with port 0, on any free port.

    Raises SettingsError if the address cannot be used.
    """
    try:
        return _open_socket(host, port)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror or error}; free the port, or set "
            "another port with --port or [api] port (0: any free port)"
        ) from error


def address_of(listener: socket.socket) -> str:
    """Return the base URL of a listening socket."""
    host, port, *_ = listener.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _open_socket(host: str, port: int) -> socket.socket:
    family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
    # asyncio disables Nagle's algorithm only for a socket with IPPROTO_TCP, a protocol number that
    # socket.create_server does not set. The algorithm would delay responses by 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(LISTEN_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def _ignore_signal(_signal: int, _frame: FrameType | None) -> None:
    pass
