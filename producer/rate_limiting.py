"""Batches at a steady rate."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

Item = TypeVar("Item")

# A stall longer than this is not made up for: a burst of all that was missed is no steady rate.
LONGEST_CATCH_UP_SECONDS = 1.0
_BATCHES_A_SECOND = 20
_LARGEST_BATCH = 2_000


def batch_rows(rate: float | None) -> int:
    """Return how many rows to send at once: small enough that a second has several batches."""
    if rate is None:
        return _LARGEST_BATCH
    return max(1, min(_LARGEST_BATCH, int(rate / _BATCHES_A_SECOND)))


def batched(items: Iterable[Item], rows: int) -> Iterator[list[Item]]:
    """Cut a stream into lists of `rows` items, the last one shorter."""
    source = iter(items)
    while batch := list(islice(source, rows)):
        yield batch


def paced(
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
    due = clock()
    for batch in batches:
        yield batch
        due += len(batch) / rate
        ahead = due - clock()
        if ahead > 0:
            sleep(ahead)
        elif ahead < -LONGEST_CATCH_UP_SECONDS:
            due = clock()
