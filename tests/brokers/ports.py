"""Finds free TCP ports on 127.0.0.1."""

import socket
from contextlib import ExitStack


def free_ports(count: int) -> list[int]:
    """Return `count` different ports that are free now."""
    with ExitStack() as exit_stack:
        sockets = [exit_stack.enter_context(socket.socket()) for _ in range(count)]
        for bound_socket in sockets:
            bound_socket.bind(("127.0.0.1", 0))
        return [int(bound_socket.getsockname()[1]) for bound_socket in sockets]


def free_port() -> int:
    """Return a port that is free now."""
    return free_ports(1)[0]
