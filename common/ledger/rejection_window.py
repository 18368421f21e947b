"""Where in a stretch of records the breaker's window first holds too many rejections."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.ledger.account import BUCKETS, Account


@dataclass(frozen=True, slots=True)
class Excess:
    """A window with too many rejections."""

    rows: int
    rejected: int


def first_excess(
    account: Account, rejected: NDArray[np.bool_], *, min_rows: int, max_ratio: float
) -> Excess | None:
    """Return the window at the first rejection that is one too many, or None.

    `rejected` (n,): of the records that follow `account`, which count as rejections. The window is
    looked at after each of them, so the answer does not depend on how records are cut into
    micro-batches. A good record is never one too many, though sliding may raise the ratio.
    """
    if not rejected.any():
        return None
    size = account.window_bucket_rows
    oldest = account.oldest_bucket
    number = account.consumed + np.arange(len(rejected))
    bucket = number // size - oldest
    slid_out = np.maximum(bucket - BUCKETS + 1, 0)
    in_buckets = np.bincount(bucket[rejected], minlength=int(bucket[-1]) + 1)
    in_buckets[: len(account.window_rejected)] += np.asarray(account.window_rejected)
    before_bucket = np.concatenate(([0], np.cumsum(in_buckets)))
    so_far = sum(account.window_rejected) + np.cumsum(rejected)
    count = so_far - before_bucket[slid_out]
    rows = number + 1 - (slid_out + oldest) * size
    excess = np.flatnonzero(rejected & (rows >= min_rows) & (count > max_ratio * rows))
    return Excess(int(rows[excess[0]]), int(count[excess[0]])) if len(excess) else None
