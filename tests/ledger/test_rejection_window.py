"""The breaker checks its window after every record, not only at the end of a micro-batch."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorwatch.common.ledger.account import (
    WINDOW_BUCKETS,
    Account,
    advance_account,
    open_account,
    resize_window,
)
from sensorwatch.common.ledger.rejection_window import WindowExcess, find_first_excess
from sensorwatch.common.scoring.processing import OutcomeKind


def an_account(window_rows: int) -> Account:
    return open_account(0, model_version="m", fingerprint="f", window_rows=window_rows)


def account_after(account: Account, is_rejected: NDArray[np.bool_]) -> Account:
    count = len(is_rejected)
    return advance_account(
        account,
        offsets=account.next_offset + np.arange(count),
        kinds=np.where(is_rejected, OutcomeKind.DEAD_LETTER, OutcomeKind.NORMAL).astype(np.uint8),
        reasons=np.zeros(count, dtype=np.uint8),
        score_bits=np.zeros(count, dtype=np.uint64),
        model_version="m",
    )


def reference_first_excess(
    is_rejected: NDArray[np.bool_], bucket_rows: int, min_rows: int, max_ratio: float
) -> tuple[int, WindowExcess] | None:
    """Return the position of the first rejection at which the window exceeds the limits."""
    for position in np.flatnonzero(is_rejected).tolist():
        first_record = max(0, position // bucket_rows - WINDOW_BUCKETS + 1) * bucket_rows
        rows, rejections = (
            position + 1 - first_record,
            int(is_rejected[first_record : position + 1].sum()),
        )
        if rows >= min_rows and rejections > max_ratio * rows:
            return position, WindowExcess(rows, rejections)
    return None


@settings(max_examples=200, deadline=None)
@given(
    batch_boundaries=st.lists(st.integers(0, 120), max_size=8).map(sorted),
    rejected_shares=st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), min_size=4, max_size=4),
    seed=st.integers(0, 9),
    window_rows=st.sampled_from([10, 30, 50, 1_000]),
    min_rows=st.sampled_from([1, 9, 27]),
    max_ratio=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_the_first_excess_does_not_depend_on_micro_batch_boundaries(
    batch_boundaries: list[int],
    rejected_shares: list[float],
    seed: int,
    window_rows: int,
    min_rows: int,
    max_ratio: float,
) -> None:
    share_by_record = np.repeat(np.asarray(rejected_shares), 30)
    is_rejected = np.random.default_rng(seed).random(120) < share_by_record
    expected_excess = reference_first_excess(
        is_rejected, window_rows // WINDOW_BUCKETS, min_rows, max_ratio
    )
    account, excess = an_account(window_rows), None

    for start, end in zip([0, *batch_boundaries], [*batch_boundaries, 120], strict=True):
        is_rejected_in_batch = is_rejected[start:end]
        excess = find_first_excess(
            account, is_rejected_in_batch, min_rows=min_rows, max_ratio=max_ratio
        )
        if excess is not None:
            assert expected_excess is not None
            assert start <= expected_excess[0] < end
            break
        account = account_after(account, is_rejected_in_batch)

    assert excess == (None if expected_excess is None else expected_excess[1])


@pytest.mark.parametrize("batch_rows", [37, 1_000, 100_000])
def test_rejections_before_accepted_records_are_reported_at_min_rows(batch_rows: int) -> None:
    """The breaker reports too many rejections even if accepted records of the same batch follow."""
    is_rejected = np.arange(100_000) < 90_000
    account = an_account(10_000)
    for start in range(0, len(is_rejected), batch_rows):
        is_rejected_in_batch = is_rejected[start : start + batch_rows]
        excess = find_first_excess(account, is_rejected_in_batch, min_rows=1_000, max_ratio=0.5)
        if excess is not None:
            break
        account = account_after(account, is_rejected_in_batch)

    assert excess == WindowExcess(1_000, 1_000)
    assert start <= 999 < start + batch_rows


@pytest.mark.parametrize("count", range(1, 45))
def test_the_reported_window_equals_the_window_of_the_account(count: int) -> None:
    """The breaker's message and the command `ledger show` give the same counts of the window."""
    is_rejected = np.ones(count, dtype=np.bool_)
    rows, rejections = account_after(an_account(30), is_rejected).window

    account_before = account_after(an_account(30), is_rejected[1:])

    assert find_first_excess(
        account_before, is_rejected[:1], min_rows=1, max_ratio=0.5
    ) == WindowExcess(rows, rejections)


def test_a_larger_window_can_reach_min_rows() -> None:
    """A window of 100 rows never has the 200 rows that the breaker needs to check it."""
    is_rejected = np.ones(250, dtype=np.bool_)
    account = account_after(an_account(100), is_rejected[:95])
    assert find_first_excess(account, is_rejected, min_rows=200, max_ratio=0.5) is None

    resized_account = resize_window(account, 1_000)

    assert resized_account.window_bucket_rows == 100
    assert resized_account.window == (95, 95)
    assert find_first_excess(
        resized_account, is_rejected, min_rows=200, max_ratio=0.5
    ) == WindowExcess(200, 200)


def test_resizing_to_the_same_size_returns_the_same_account() -> None:
    account = account_after(an_account(100), np.ones(57, dtype=np.bool_))

    assert resize_window(account, 109) is account


@settings(max_examples=200, deadline=None)
@given(
    count=st.integers(0, 400),
    rejected_share=st.sampled_from([0.0, 0.3, 1.0]),
    rows=st.sampled_from([10, 30, 100, 250]),
    new_rows=st.sampled_from([10, 20, 70, 100, 1_000, 100_000]),
)
def test_a_resized_window_adds_no_rejections(
    count: int, rejected_share: float, rows: int, new_rows: int
) -> None:
    is_rejected = np.random.default_rng(1).random(count) < rejected_share
    account = account_after(an_account(rows), is_rejected)

    resized_account = resize_window(account, new_rows)

    rows_in_window, rejections = resized_account.window
    assert rejections <= account.window[1]
    assert rejections <= rows_in_window <= new_rows
    assert 1 <= len(resized_account.window_rejected) <= WINDOW_BUCKETS
    if new_rows >= 2 * rows:
        assert rejections == account.window[1], (
            "a larger window contains all rejections of the smaller window"
        )
    if rejected_share == 1.0 and new_rows <= rows // 2:
        assert rejections == rows_in_window, (
            "a window that contains only rejections contains only rejections after resizing"
        )
    is_rejected_later = np.ones(new_rows, dtype=np.bool_)
    full_window = account_after(resized_account, is_rejected_later).window
    assert full_window[0] == full_window[1]
    assert (
        find_first_excess(resized_account, is_rejected_later, min_rows=1, max_ratio=0.9) is not None
    )
