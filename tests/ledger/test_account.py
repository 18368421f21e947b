"""An account does not depend on micro-batch boundaries, and its digest covers every outcome."""

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorwatch.common.ledger.account import (
    DIGEST_SEED,
    WINDOW_BUCKETS,
    Account,
    advance_account,
    open_account,
    start_segment,
)
from sensorwatch.common.rows.absorption import ABSORBED_REASONS, AbsorbedReason
from sensorwatch.common.scoring.processing import REASONS, OutcomeKind

UINT64_MASK = 2**64 - 1


@dataclass(frozen=True, slots=True)
class Records:
    """The outcomes of n records of one partition."""

    offsets: NDArray[np.int64]
    kinds: NDArray[np.uint8]
    reasons: NDArray[np.uint8]
    score_bits: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.offsets)

    def take(self, start: int, end: int) -> "Records":
        return Records(
            self.offsets[start:end],
            self.kinds[start:end],
            self.reasons[start:end],
            self.score_bits[start:end],
        )


def some_records(count: int = 80, *, seed: int = 1, first_offset: int = 5) -> Records:
    """Return random outcomes. Some offsets are missing, as where Kafka writes control records."""
    rng = np.random.default_rng(seed)
    offsets = first_offset + np.cumsum(rng.integers(1, 3, count)) - 1
    kinds = rng.choice([kind.value for kind in OutcomeKind], count).astype(np.uint8)
    is_rejected, is_absorbed = kinds == OutcomeKind.DEAD_LETTER, kinds == OutcomeKind.ABSORBED
    reasons = np.where(is_rejected, rng.integers(1, len(REASONS) + 1, count), 0).astype(np.uint8)
    reasons[is_absorbed] = 1
    bits = np.where(is_rejected | is_absorbed, 0.0, rng.random(count)).view(np.uint64)
    return Records(offsets.astype(np.int64), kinds, reasons, bits)


def an_account(offset: int = 5, *, window_rows: int = 100) -> Account:
    return open_account(offset, model_version="m", fingerprint="f", window_rows=window_rows)


def account_after(account: Account, records: Records, *, accept_until: int = 0) -> Account:
    return advance_account(
        account,
        offsets=records.offsets,
        kinds=records.kinds,
        reasons=records.reasons,
        score_bits=records.score_bits,
        model_version="m",
        accept_rejections_until=accept_until,
    )


def reference_digest(digest: int, records: Records) -> int:
    """Return the digest of records, computed with Python's integers."""
    for offset, kind, reason, bits in zip(
        records.offsets, records.kinds, records.reasons, records.score_bits, strict=True
    ):
        for word in (int(offset), int(kind) | int(reason) << 8, int(bits)):
            word_digest = digest ^ word
            word_digest = (word_digest ^ (word_digest >> 30)) * 0xBF58476D1CE4E5B9 & UINT64_MASK
            word_digest = (word_digest ^ (word_digest >> 27)) * 0x94D049BB133111EB & UINT64_MASK
            digest = (word_digest ^ (word_digest >> 31)) + 0x9E3779B97F4A7C15 & UINT64_MASK
    return digest


def reference_window(records: Records, bucket_rows: int, accept_until: int) -> tuple[int, int]:
    """Return the numbers of judged records and rejections in the newest (at most ten) buckets."""
    is_judged = records.kinds != OutcomeKind.ABSORBED
    is_rejected = (records.kinds == OutcomeKind.DEAD_LETTER) & (records.offsets >= accept_until)
    judged_count = int(is_judged.sum())
    newest_bucket = (judged_count - 1) // bucket_rows
    first_record = max(0, newest_bucket - WINDOW_BUCKETS + 1) * bucket_rows
    return judged_count - first_record, int(is_rejected[is_judged][first_record:].sum())


batch_boundaries = st.lists(st.integers(0, 80), max_size=12).map(sorted)


@settings(max_examples=100, deadline=None)
@given(
    batch_boundaries=batch_boundaries,
    seed=st.integers(0, 5),
    window_rows=st.sampled_from([1, 10, 30, 50, 100, 1_000]),
    accept_until=st.sampled_from([0, 20, 60, 10_000]),
)
def test_an_account_does_not_depend_on_micro_batch_boundaries(
    batch_boundaries: list[int], seed: int, window_rows: int, accept_until: int
) -> None:
    records = some_records(seed=seed)
    account = an_account(window_rows=window_rows)
    account_at_once = account_after(account, records, accept_until=accept_until)

    for start, end in zip([0, *batch_boundaries], [*batch_boundaries, len(records)], strict=True):
        account = account_after(account, records.take(start, end), accept_until=accept_until)

    assert account == account_at_once
    assert account.window == reference_window(
        records, max(1, window_rows // WINDOW_BUCKETS), accept_until
    )


def test_counts_of_an_account_add_up_and_its_next_offset_follows_the_records() -> None:
    records = some_records()

    account = account_after(an_account(), records)

    assert account.adds_up
    assert account.consumed == len(records)
    assert account.normal == np.sum(records.kinds == OutcomeKind.NORMAL)
    assert account.anomalies == np.sum(records.kinds == OutcomeKind.ANOMALY)
    assert account.dead_letters == np.sum(records.kinds == OutcomeKind.DEAD_LETTER)
    assert account.absorbed == np.sum(records.kinds == OutcomeKind.ABSORBED) > 0
    assert account.rows == account.normal + account.anomalies
    assert (account.first_offset, account.next_offset) == (5, records.offsets[-1] + 1)
    assert not replace(account, consumed=account.consumed + 1).adds_up
    assert not replace(account, absorbed=account.absorbed + 1).adds_up


def test_rows_are_counted_apart_from_records() -> None:
    records = some_records()
    one_row_each = account_after(an_account(), records)

    account = advance_account(
        an_account(),
        offsets=records.offsets,
        kinds=records.kinds,
        reasons=records.reasons,
        score_bits=records.score_bits,
        model_version="m",
        rows=500,
    )

    assert account == replace(one_row_each, rows=500)
    assert account.adds_up


def absorbed_and_rejected(reason: AbsorbedReason) -> Records:
    """Return 200 records, of which every 20th is rejected and the others are absorbed."""
    records, is_absorbed = some_records(200), np.arange(200) % 20 > 0
    kinds = np.where(is_absorbed, OutcomeKind.ABSORBED, OutcomeKind.DEAD_LETTER)
    reasons = np.where(is_absorbed, ABSORBED_REASONS.index(reason) + 1, 1)
    return replace(records, kinds=kinds.astype(np.uint8), reasons=reasons.astype(np.uint8))


@pytest.mark.parametrize(
    "reason", [reason for reason in AbsorbedReason if reason is not AbsorbedReason.JOINED]
)
def test_ignored_records_are_not_in_the_window_of_the_breaker(reason: AbsorbedReason) -> None:
    account = account_after(an_account(window_rows=100), absorbed_and_rejected(reason))

    assert (account.absorbed, account.joined) == (190, 0)
    assert account.window == (10, 10)
    only_absorbed = some_records(5, first_offset=account.next_offset)
    only_absorbed = replace(
        only_absorbed,
        kinds=np.full(5, OutcomeKind.ABSORBED, dtype=np.uint8),
        reasons=np.full(5, ABSORBED_REASONS.index(reason) + 1, dtype=np.uint8),
    )
    assert account_after(account, only_absorbed).window == (10, 10)


def test_joined_records_are_in_the_window_of_the_breaker() -> None:
    records = absorbed_and_rejected(AbsorbedReason.JOINED)

    account = account_after(an_account(window_rows=100), records)

    assert (account.absorbed, account.joined, account.judged) == (190, 190, 200)
    assert account.window == (100, 5)
    assert account.adds_up


@pytest.mark.parametrize("seed", range(5))
def test_the_digest_equals_the_reference_digest(seed: int) -> None:
    records = some_records(seed=seed)

    assert account_after(an_account(), records).digest == reference_digest(DIGEST_SEED, records)


def test_the_digest_uses_all_64_bits() -> None:
    extreme_records = Records(
        np.asarray([5, 2**63 - 2], dtype=np.int64),
        np.asarray([1, 3], dtype=np.uint8),
        np.asarray([0, 255], dtype=np.uint8),
        np.asarray([2**64 - 1, 0], dtype=np.uint64),
    )

    assert account_after(an_account(), extreme_records).digest == reference_digest(
        DIGEST_SEED, extreme_records
    )


@settings(max_examples=100, deadline=None)
@given(position=st.integers(0, 79), bit=st.integers(0, 63))
def test_a_change_of_one_bit_of_a_score_changes_the_digest(position: int, bit: int) -> None:
    records = some_records()
    changed_bits = records.score_bits.copy()
    changed_bits[position] ^= np.uint64(1 << bit)

    assert account_after(an_account(), replace(records, score_bits=changed_bits)).digest != (
        account_after(an_account(), records).digest
    )


@settings(max_examples=60, deadline=None)
@given(position=st.integers(0, 79), kind=st.integers(1, 4), reason=st.integers(0, 17))
def test_another_outcome_or_reason_changes_the_digest(
    position: int, kind: int, reason: int
) -> None:
    records = some_records()
    kinds, reasons = records.kinds.copy(), records.reasons.copy()
    kinds[position], reasons[position] = kind, reason
    changed_records = replace(records, kinds=kinds, reasons=reasons)
    is_unchanged = kind == records.kinds[position] and reason == records.reasons[position]

    digests = [
        account_after(an_account(), outcomes).digest for outcomes in (changed_records, records)
    ]

    assert (digests[0] == digests[1]) == is_unchanged


def test_a_lost_swapped_or_moved_record_changes_the_digest() -> None:
    records = some_records()
    original_digest = account_after(an_account(), records).digest
    record_order = np.arange(len(records))
    record_order[[10, 11]] = record_order[[11, 10]]
    swapped_records = Records(
        records.offsets,
        records.kinds[record_order],
        records.reasons[record_order],
        records.score_bits[record_order],
    )
    remaining_positions = np.delete(np.arange(len(records)), 40)
    records_with_loss = Records(
        records.offsets[remaining_positions],
        records.kinds[remaining_positions],
        records.reasons[remaining_positions],
        records.score_bits[remaining_positions],
    )
    records_with_later_offset = replace(
        records, offsets=np.append(records.offsets[:-1], records.offsets[-1] + 1)
    )

    assert original_digest not in {
        account_after(an_account(), changed_records).digest
        for changed_records in (swapped_records, records_with_loss, records_with_later_offset)
    }


@pytest.mark.parametrize(
    "offsets", [[4], [5, 5], [6, 5], [5, 7, 6]], ids=["below", "twice", "falling", "later falling"]
)
def test_offsets_that_do_not_rise_are_refused(offsets: list[int]) -> None:
    records = replace(some_records(len(offsets)), offsets=np.asarray(offsets, dtype=np.int64))

    with pytest.raises(ValueError, match="do not rise, wanted rising offsets from 5 on"):
        account_after(an_account(5), records)


def test_an_empty_batch_changes_nothing() -> None:
    account = account_after(an_account(), some_records())

    assert account_after(account, some_records(0)) == account


def test_a_new_segment_keeps_the_counts_and_restarts_the_digest() -> None:
    account = account_after(an_account(), some_records())

    segment = start_segment(account, fingerprint="other")

    assert segment == replace(
        account,
        digest=DIGEST_SEED,
        segment=1,
        segment_offset=account.next_offset,
        fingerprint="other",
    )


def test_accepted_records_push_all_rejections_out_of_the_window() -> None:
    rejected_records = some_records(100)
    rejected_records = replace(
        rejected_records, kinds=np.full(100, OutcomeKind.DEAD_LETTER, dtype=np.uint8)
    )
    accepted_records = some_records(100, first_offset=int(rejected_records.offsets[-1]) + 1)
    accepted_records = replace(
        accepted_records, kinds=np.full(100, OutcomeKind.NORMAL, dtype=np.uint8)
    )
    account = account_after(an_account(window_rows=100), rejected_records)
    assert account.window == (100, 100)

    assert account_after(account, accepted_records).window == (100, 0)
