"""A call has a limit even if the function that is called has none."""

from threading import Event, current_thread, main_thread

import pytest

from sensorwatch.consumer.publishing.bounded_call import CallOverdue, call_within


def test_a_call_that_returns_in_time_has_run_in_another_thread() -> None:
    threads = []

    call_within(30, lambda: threads.append(current_thread()))

    (thread,) = threads
    assert thread is not main_thread()
    assert thread.daemon, "else a call that never returns would keep the process from ending"


def test_what_the_call_raises_is_raised_to_the_caller() -> None:
    def failing() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        call_within(30, failing)


def test_a_call_that_does_not_return_is_given_up() -> None:
    released = Event()

    def hanging() -> None:
        released.wait()

    with pytest.raises(CallOverdue, match=r"within 0\.05 s"):
        call_within(0.05, hanging)

    released.set()
