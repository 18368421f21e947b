"""Divide rows into batches, and send the batches at a steady rate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")

MAX_CATCH_UP_SECONDS = 1.0
"""Longest delay, in seconds, after which the delayed rows are sent in a burst.

After a longer delay, the schedule starts again at the current time."""
_BATCHES_PER_SECOND = 20
_MAX_BATCH_ROWS = 2_000


def batch_rows(rate: float | None) -> int:
    """Return the number of rows per batch for a rate in rows per second (None: no limit)."""
    if rate is None:
        return _MAX_BATCH_ROWS
    return max(1, min(_MAX_BATCH_ROWS, int(rate / _BATCHES_PER_SECOND)))


def batched(items: Iterable[Item], rows: int) -> Iterator[list[Item]]:
    """Yield the items in lists of `rows` items. The last list may be shorter."""
    source = iter(items)
    while batch := list(islice(source, rows)):
        yield batch


def rate_limited(
    batches: Iterable[Sequence[Item]],
    rate: float | None,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
) -> Iterator[Sequence[Item]]:
    """Yield the batches, and wait after each batch to keep a constant rate.

    `rate`: rows per second, or None to yield without waiting. `clock`: returns the seconds of a
    monotonic clock.
    """
    if rate is None:
        yield from batches
        return
    next_send_time = clock()
    for batch in batches:
        yield batch
        next_send_time += len(batch) / rate
        wait_seconds = next_send_time - clock()
        if wait_seconds > 0:
            sleep(wait_seconds)
        elif wait_seconds < -MAX_CATCH_UP_SECONDS:
            next_send_time = clock()
