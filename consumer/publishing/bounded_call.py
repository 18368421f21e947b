"""A call that may never return, given up when its time is over."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread


class CallOverdue(Exception):
    """The call did not return in time; its thread goes on waiting for it."""


def call_within(seconds: float, action: Callable[[], None]) -> None:
    """Run `action` in a thread of its own and return when it does, or raise what it raises.

    Raises CallOverdue after `seconds`. The thread does not keep the process from ending.
    """
    outcome: SimpleQueue[BaseException | None] = SimpleQueue()

    def run() -> None:
        try:
            action()
        except BaseException as error:  # noqa: BLE001 - raised again below, in the caller's thread
            outcome.put(error)
        else:
            outcome.put(None)

    Thread(target=run, name="bounded call", daemon=True).start()
    try:
        error = outcome.get(timeout=seconds)
    except Empty:
        raise CallOverdue(f"no answer within {seconds:g} s") from None
    if error is not None:
        raise error
