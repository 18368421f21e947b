"""Continues the loop of a worker after a micro-batch that was not committed."""

from collections.abc import Callable

from sensorwatch.common.errors import BreakerOpen, MicroBatchAborted, OutcomeUnknown, Unrecoverable
from sensorwatch.common.runtime.metrics import TransactionOutcome
from sensorwatch.consumer.failure_streak import FailureStreak
from sensorwatch.consumer.wiring import Clock, Wiring

PAUSED_POLL_SECONDS = 0.2


def rewind(
    wiring: Wiring,
    clock: Clock,
    error: MicroBatchAborted | OutcomeUnknown,
    failures: FailureStreak,
    stopping: Callable[[], bool],
) -> None:
    """Go back to the committed offsets, after a pause if there were several failures in a row.

    Raises Unrecoverable if the failures have lasted for too long.
    """
    is_unknown = isinstance(error, OutcomeUnknown)
    outcome = TransactionOutcome.UNKNOWN if is_unknown else TransactionOutcome.ABORTED
    wiring.observation.show_rollback(error, outcome, failures.count)
    if failures.is_lasting:
        # A topic may be missing: a restart checks all topics, and its error names the missing one.
        raise Unrecoverable(
            f"{failures.count} micro-batches in a row were not committed. Last error: {error}. "
            "No record is lost: a restart checks the topics and continues from the committed "
            "offsets"
        ) from error
    if failures.pause_seconds:
        wiring.source.pause()
        _wait_as_member(wiring, clock, failures.pause_seconds, stopping)
        wiring.source.rewind()
        wiring.source.resume()
    else:
        wiring.source.rewind()


def wait_for_champion(
    wiring: Wiring,
    clock: Clock,
    breaker_open: BreakerOpen,
    grace_seconds: float,
    stopping: Callable[[], bool],
) -> None:
    """Pause all partitions until a new champion is loaded, then go back to the committed offsets.

    The worker stays a member of the group and commits nothing. Raises `breaker_open` if no new
    champion is loaded within `grace_seconds`.
    """
    wiring.ownership.memories.undo()
    wiring.observation.show_breaker(str(breaker_open))
    wiring.source.pause()
    deadline = clock.monotonic() + grace_seconds
    while not stopping():
        wiring.observation.beat()
        if wiring.champion.refresh():
            wiring.source.rewind()
            wiring.source.resume()
            wiring.observation.show_breaker(None)
            return
        if clock.monotonic() >= deadline:
            raise breaker_open
        wiring.source.poll_paused(PAUSED_POLL_SECONDS)


def _wait_as_member(
    wiring: Wiring, clock: Clock, seconds: float, stopping: Callable[[], bool]
) -> None:
    """Stay a member of the group for `seconds` without consuming records."""
    deadline = clock.monotonic() + seconds
    while clock.monotonic() < deadline and not stopping():
        wiring.observation.beat()
        wiring.source.poll_paused(min(PAUSED_POLL_SECONDS, seconds))
