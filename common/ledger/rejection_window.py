"""Checks record by record whether the breaker's window contains too many rejections."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.ledger.account import WINDOW_BUCKETS, Account


@dataclass(frozen=True, slots=True)
class WindowExcess:
    """A window with too many rejections."""

    rows: int
    """Number of judged records in the window."""
    rejected: int
    """Number of rejections in the window."""


def find_first_excess(
    account: Account, rejected: NDArray[np.bool_], *, min_rows: int, max_ratio: float
) -> WindowExcess | None:
    """Return the breaker's window at the first rejection that makes it exceed the limits, or None.

    `rejected`: shape (n,), whether each judged record after `account` counts as a rejection;
    absorbed records are left out. A window exceeds the limits if it has at least `min_rows` records
    and more than `max_ratio` of them are rejections. The window is checked at each rejection, so
    the result does not depend on the boundaries of micro-batches. Accepted records are not checked,
    even though the ratio can rise at an accepted record, when the window drops its oldest bucket.
    """
    if not rejected.any():
        return None
    bucket_size = account.window_bucket_rows
    oldest_bucket = account.oldest_bucket
    record_numbers = account.judged + np.arange(len(rejected))
    bucket_of_record = record_numbers // bucket_size - oldest_bucket
    dropped_buckets = np.maximum(bucket_of_record - WINDOW_BUCKETS + 1, 0)
    bucket_rejections = np.bincount(
        bucket_of_record[rejected], minlength=int(bucket_of_record[-1]) + 1
    )
    bucket_rejections[: len(account.window_rejected)] += np.asarray(account.window_rejected)
    rejections_before = np.concatenate(([0], np.cumsum(bucket_rejections)))
    total_rejections = sum(account.window_rejected) + np.cumsum(rejected)
    window_rejections = total_rejections - rejections_before[dropped_buckets]
    window_rows = record_numbers + 1 - (dropped_buckets + oldest_bucket) * bucket_size
    excess_records = np.flatnonzero(
        rejected & (window_rows >= min_rows) & (window_rejections > max_ratio * window_rows)
    )
    return (
        WindowExcess(int(window_rows[excess_records[0]]), int(window_rejections[excess_records[0]]))
        if len(excess_records)
        else None
    )
