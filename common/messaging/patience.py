"""Calls into the client that may not come back, although they were given a timeout."""

import threading
from collections.abc import Callable


class NeverReturned(Exception):
    """A call stayed in the client past its time; whatever made it must be given up."""


def within(seconds: float, call: Callable[[], object]) -> None:
    """Make the call on a thread of its own and raise what it raises.

    Raises NeverReturned after `seconds`; the thread is then left behind, and with it the client.
    """
    raised: list[BaseException] = []

    def work() -> None:
        try:
            call()
        except BaseException as error:  # noqa: BLE001 - raised again on the caller's thread
            raised.append(error)

    thread = threading.Thread(target=work, name="kafka-call", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise NeverReturned
    if raised:
        raise raised[0]
