"""Calls a function with a time limit, because some calls into the client never return."""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread


class CallOverdue(Exception):
    """The call did not return in time; its thread continues to wait for the result."""


def call_within(seconds: float, action: Callable[[], None]) -> None:
    """Run `action` in a separate thread, wait for its end, and raise its exception if it fails.

    Raises CallOverdue if `action` takes longer than `seconds`. The process can exit while the
    thread still runs.
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
