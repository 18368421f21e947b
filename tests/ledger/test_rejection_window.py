"""The breaker's window is checked record by record, at any micro-batch boundaries."""

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


def account_after(account: Account, rejected: NDArray[np.bool_]) -> Account:
    count = len(rejected)
    return advance_account(
        account,
        offsets=account.next_offset + np.arange(count),
        kinds=np.where(rejected, OutcomeKind.DEAD_LETTER, OutcomeKind.NORMAL).astype(np.uint8),
        reasons=np.zeros(count, dtype=np.uint8),
        score_bits=np.zeros(count, dtype=np.uint64),
        model_version="m",
    )


def reference_first_excess(
    rejected: NDArray[np.bool_], bucket_rows: int, min_rows: int, max_ratio: float
) -> tuple[int, WindowExcess] | None:
    """Return the position of the first rejection that exceeds the limits, and the window there."""
    for position in np.flatnonzero(rejected).tolist():
        first = max(0, position // bucket_rows - WINDOW_BUCKETS + 1) * bucket_rows
        rows, count = position + 1 - first, int(rejected[first : position + 1].sum())
        if rows >= min_rows and count > max_ratio * rows:
            return position, WindowExcess(rows, count)
    return None


@settings(max_examples=200, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 120), max_size=8).map(sorted),
    rejected_shares=st.lists(st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), min_size=4, max_size=4),
    seed=st.integers(0, 9),
    window_rows=st.sampled_from([10, 30, 50, 1_000]),
    min_rows=st.sampled_from([1, 9, 27]),
    max_ratio=st.sampled_from([0.1, 0.5, 1.0]),
)
def test_the_first_excess_does_not_depend_on_micro_batch_boundaries(
    cuts: list[int],
    rejected_shares: list[float],
    seed: int,
    window_rows: int,
    min_rows: int,
    max_ratio: float,
) -> None:
    shares = np.repeat(np.asarray(rejected_shares), 30)
    rejected = np.random.default_rng(seed).random(120) < shares
    wanted = reference_first_excess(rejected, window_rows // WINDOW_BUCKETS, min_rows, max_ratio)
    account, result = an_account(window_rows), None

    for start, end in zip([0, *cuts], [*cuts, 120], strict=True):
        batch = rejected[start:end]
        result = find_first_excess(account, batch, min_rows=min_rows, max_ratio=max_ratio)
        if result is not None:
            assert wanted is not None
            assert start <= wanted[0] < end
            break
        account = account_after(account, batch)

    assert result == (None if wanted is None else wanted[1])


@pytest.mark.parametrize("batch_rows", [37, 1_000, 100_000])
def test_rejections_before_good_records_are_reported_at_min_rows(batch_rows: int) -> None:
    """Accepted records later in a large micro-batch do not hide the excess."""
    rejected = np.arange(100_000) < 90_000
    account = an_account(10_000)
    for start in range(0, len(rejected), batch_rows):
        batch = rejected[start : start + batch_rows]
        result = find_first_excess(account, batch, min_rows=1_000, max_ratio=0.5)
        if result is not None:
            break
        account = account_after(account, batch)

    assert result == WindowExcess(1_000, 1_000)
    assert start <= 999 < start + batch_rows


@pytest.mark.parametrize("count", range(1, 45))
def test_the_reported_window_equals_that_of_the_account(count: int) -> None:
    """The breaker's message and `ledger show` give the same window."""
    rejected = np.ones(count, dtype=np.bool_)
    rows, bad = account_after(an_account(30), rejected).window

    before = account_after(an_account(30), rejected[1:])

    assert find_first_excess(before, rejected[:1], min_rows=1, max_ratio=0.5) == WindowExcess(
        rows, bad
    )


def test_a_larger_window_can_reach_the_minimum_of_rows() -> None:
    """A window of the old size never reaches a minimum that is larger than it."""
    rejections = np.ones(250, dtype=np.bool_)
    account = account_after(an_account(100), rejections[:95])
    assert find_first_excess(account, rejections, min_rows=200, max_ratio=0.5) is None

    changed = resize_window(account, 1_000)

    assert changed.window_bucket_rows == 100
    assert changed.window == (95, 95)
    assert find_first_excess(changed, rejections, min_rows=200, max_ratio=0.5) == WindowExcess(
        200, 200
    )


def test_a_window_of_the_same_size_changes_nothing() -> None:
    account = account_after(an_account(100), np.ones(57, dtype=np.bool_))

    assert resize_window(account, 109) is account


@settings(max_examples=200, deadline=None)
@given(
    count=st.integers(0, 400),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    rows=st.sampled_from([10, 30, 100, 250]),
    changed_rows=st.sampled_from([10, 20, 70, 100, 1_000, 100_000]),
)
def test_a_resized_window_adds_no_rejections(
    count: int, share: float, rows: int, changed_rows: int
) -> None:
    rejected = np.random.default_rng(1).random(count) < share
    account = account_after(an_account(rows), rejected)

    changed = resize_window(account, changed_rows)

    rows_in_window, bad = changed.window
    assert bad <= account.window[1]
    assert bad <= rows_in_window <= changed_rows
    assert 1 <= len(changed.window_rejected) <= WINDOW_BUCKETS
    if changed_rows >= 2 * rows:
        assert bad == account.window[1], (
            "a larger window contains all rejections of the smaller one"
        )
    if share == 1.0 and changed_rows <= rows // 2:
        assert bad == rows_in_window, "a window of rejections only stays one"
    more = np.ones(changed_rows, dtype=np.bool_)
    full = account_after(changed, more).window
    assert full[0] == full[1]
    assert find_first_excess(changed, more, min_rows=1, max_ratio=0.9) is not None
