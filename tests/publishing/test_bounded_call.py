"""A call is limited even if the called function has no timeout."""

from threading import Event, current_thread, main_thread

import pytest

from sensorwatch.consumer.publishing.bounded_call import CallOverdue, call_within


def test_a_call_runs_in_another_thread() -> None:
    threads = []

    call_within(30, lambda: threads.append(current_thread()))

    (thread,) = threads
    assert thread is not main_thread()
    assert thread.daemon, "otherwise a call that never returns would prevent the exit"


def test_an_error_of_the_call_is_raised_to_the_caller() -> None:
    def failing() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call_within(30, failing)


def test_a_call_that_does_not_return_is_abandoned() -> None:
    released = Event()

    def hanging() -> None:
        released.wait()

    with pytest.raises(CallOverdue, match=r"within 0\.05 s"):
        call_within(0.05, hanging)

    released.set()
