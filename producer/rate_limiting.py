"""Batches at a steady rate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")

# A stall longer than this is not made up for: a burst of all that was missed is no steady rate.
MAX_CATCH_UP_SECONDS = 1.0
_BATCHES_PER_SECOND = 20
_MAX_BATCH_ROWS = 2_000


def batch_rows(rate: float | None) -> int:
    """Return how many rows to send at once: small enough that a second has several batches."""
    if rate is None:
        return _MAX_BATCH_ROWS
    return max(1, min(_MAX_BATCH_ROWS, int(rate / _BATCHES_PER_SECOND)))


def batched(items: Iterable[Item], rows: int) -> Iterator[list[Item]]:
    """Cut a stream into lists of `rows` items, the last one shorter."""
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
    """Yield each batch, then wait until its rows' time at `rate` (rows/s; None: no waiting).

    `clock`: monotonic seconds.
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
