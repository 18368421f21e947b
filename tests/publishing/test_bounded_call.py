"""`call_within` returns at its deadline even if the called function has no timeout."""

from threading import Event, current_thread, main_thread

import pytest

from sensorwatch.consumer.publishing.bounded_call import CallOverdue, call_within


def test_a_call_runs_in_another_thread() -> None:
    call_threads = []

    call_within(30, lambda: call_threads.append(current_thread()))

    (call_thread,) = call_threads
    assert call_thread is not main_thread()
    assert call_thread.daemon, "a call that never returns must not prevent the exit"


def test_an_error_of_the_call_is_raised_to_the_caller() -> None:
    def raise_error() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call_within(30, raise_error)


def test_a_call_that_does_not_return_is_abandoned() -> None:
    release_event = Event()

    def wait_for_release() -> None:
        release_event.wait()

    with pytest.raises(CallOverdue, match=r"within 0\.05 s"):
        call_within(0.05, wait_for_release)

    release_event.set()
