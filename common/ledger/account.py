"""The account of an input partition: counts and a running digest of its records' outcomes."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.rows.absorption import ABSORBED_REASONS, AbsorbedReason
from sensorwatch.common.rows.limits import MAX_SENSORS
from sensorwatch.common.scoring.processing import OutcomeKind
from sensorwatch.common.scoring.silence_rule import NO_SILENCE_CHECK, SilenceRule

WINDOW_BUCKETS = 10
"""Number of buckets of consecutive records in the breaker's window."""
DIGEST_SEED = 0x9E3779B97F4A7C15
"""Digest of a segment without records."""

_JOINED = ABSORBED_REASONS.index(AbsorbedReason.JOINED) + 1


@dataclass(frozen=True, slots=True)
class SnapshotRef:
    """The location of the newest snapshot of a partition's memory."""

    offset: int
    """Offset of the snapshot manifest in the state topic."""
    next_offset: int
    """Offset in the input of the first record that is not in the snapshot."""


@dataclass(frozen=True, slots=True)
class Account:
    """The outcomes of a partition's records, from `first_offset` to `next_offset` (exclusive).

    The account is cumulative and does not depend on the boundaries of micro-batches.
    """

    first_offset: int
    next_offset: int
    consumed: int = 0
    """Number of all records, of any outcome."""
    normal: int = 0
    anomalies: int = 0
    dead_letters: int = 0
    absorbed: int = 0
    """Number of consumed records that are neither rows nor dead letters, such as heartbeats."""
    joined: int = 0
    """Number of absorbed records whose values were joined to a row; part of `absorbed`."""
    rows: int = 0
    """Number of scored rows. Not a count of records: a record may contain several rows."""
    window_bucket_rows: int = 1_000
    """Number of judged records per bucket of the breaker's window."""
    window_rejected: tuple[int, ...] = (0,)
    """Number of rejections per bucket, oldest bucket first; the last bucket may be incomplete."""
    model_version: str = ""
    """The model version that scored the newest records."""
    digest: int = DIGEST_SEED
    """64-bit digest of all records of the segment: their offsets, outcomes, reasons and raw score
    bits."""
    segment: int = 0
    """Number of the digest's current segment."""
    segment_offset: int = 0
    """Offset of the segment's first record."""
    fingerprint: str = ""
    """Fingerprint of everything that can change a score's last bit: code, libraries, CPU kind."""
    snapshot: SnapshotRef | None = None
    """The newest snapshot. If None, there is no snapshot, and the memory was cold at
    `first_offset`."""
    max_sensors: int = MAX_SENSORS
    """Largest allowed number of sensors in the memory, when the newest records were scored."""
    silence_rule: SilenceRule = NO_SILENCE_CHECK
    """The rule of silent sensors when the newest records were scored."""
    policy: str = ""
    """Id of the policy under which the newest records were scored; empty without a policy."""

    @property
    def adds_up(self) -> bool:
        """Whether `consumed` is the sum of the counts of all outcomes."""
        return self.consumed == self.normal + self.anomalies + self.dead_letters + self.absorbed

    @property
    def judged(self) -> int:
        """Number of records that were accepted or rejected.

        These are all records except those that were absorbed and not joined to a row.
        """
        return self.consumed - self.absorbed + self.joined

    @property
    def oldest_bucket(self) -> int:
        """Number of the first bucket in the breaker's window.

        Bucket k contains the judged records with the numbers k * window_bucket_rows to
        (k + 1) * window_bucket_rows - 1. Ignored records are in no bucket, so that many heartbeats
        cannot hide a large share of rejections.
        """
        newest_bucket = max(self.judged - 1, 0) // self.window_bucket_rows
        return newest_bucket - len(self.window_rejected) + 1

    @property
    def window(self) -> tuple[int, int]:
        """Number of judged records and of rejections in the breaker's window."""
        records_before_window = self.oldest_bucket * self.window_bucket_rows
        return self.judged - records_before_window, sum(self.window_rejected)


def open_account(
    offset: int,
    *,
    model_version: str,
    fingerprint: str,
    window_rows: int = 10_000,
    max_sensors: int = MAX_SENSORS,
    silence_rule: SilenceRule = NO_SILENCE_CHECK,
) -> Account:
    """Return an account without records; its first record is at `offset` or later."""
    return Account(
        first_offset=offset,
        next_offset=offset,
        window_bucket_rows=_rows_per_bucket(window_rows),
        model_version=model_version,
        segment_offset=offset,
        fingerprint=fingerprint,
        max_sensors=max_sensors,
        silence_rule=silence_rule,
    )


def start_segment(account: Account, *, fingerprint: str) -> Account:
    """Return the account with a new digest segment; its scores may differ in the last bit."""
    return replace(
        account,
        digest=DIGEST_SEED,
        segment=account.segment + 1,
        segment_offset=account.next_offset,
        fingerprint=fingerprint,
    )


def resize_window(account: Account, window_rows: int) -> Account:
    """Return the account with buckets of the size that the setting `window_rows` requires.

    The rejections of an old bucket are distributed evenly over its records. The new window starts
    with the new bucket that contains the old window's first record, or later. Records of that
    bucket that are older than the old window count as accepted.
    """
    bucket_size = _rows_per_bucket(window_rows)
    if bucket_size == account.window_bucket_rows:
        return account
    newest_record = max(account.judged - 1, 0)
    old_bucket_size, old_first_bucket = account.window_bucket_rows, account.oldest_bucket
    first_bucket = max(
        old_first_bucket * old_bucket_size // bucket_size,
        newest_record // bucket_size - WINDOW_BUCKETS + 1,
        0,
    )
    rejections_before = np.concatenate(([0.0], np.cumsum(account.window_rejected)))
    cumulative_rejections = np.interp(
        _bucket_edges(account, first_bucket, bucket_size),
        _bucket_edges(account, old_first_bucket, old_bucket_size),
        rejections_before,
    )
    counts = np.diff(np.rint(cumulative_rejections).astype(np.int64))
    return replace(
        account,
        window_bucket_rows=bucket_size,
        window_rejected=tuple(int(count) for count in counts),
    )


def advance_account(
    account: Account,
    *,
    offsets: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    reasons: NDArray[np.uint8],
    score_bits: NDArray[np.uint64],
    model_version: str,
    rows: int | None = None,
    accept_rejections_until: int = 0,
) -> Account:
    """Return the account after the next n records of the partition, in offset order.

    `offsets`, `kinds`, `reasons`, `score_bits`: shape (n,), as in `Outcome`. `rows`: number of
    scored rows; by default each normal or anomalous record has one row. Rejections at offsets
    below `accept_rejections_until` count as dead letters but not in the breaker's window. Raises
    ValueError if the offsets do not rise strictly, or if the first one is below the account's
    `next_offset`.
    """
    if len(offsets) == 0:
        return account
    if offsets[0] < account.next_offset or np.any(np.diff(offsets) <= 0):
        raise ValueError(
            f"offsets from {offsets[0]} to {offsets[-1]} do not rise, wanted rising offsets from "
            f"{account.next_offset} on"
        )
    kind_counts = np.bincount(kinds, minlength=1 + max(OutcomeKind))
    normal, anomalies = kind_counts[[OutcomeKind.NORMAL, OutcomeKind.ANOMALY]].tolist()
    rejected = counted_rejections(offsets, kinds, reasons, accept_rejections_until)
    return replace(
        account,
        next_offset=int(offsets[-1]) + 1,
        consumed=account.consumed + len(offsets),
        normal=account.normal + normal,
        anomalies=account.anomalies + anomalies,
        dead_letters=account.dead_letters + int(kind_counts[OutcomeKind.DEAD_LETTER]),
        absorbed=account.absorbed + int(kind_counts[OutcomeKind.ABSORBED]),
        joined=account.joined + int(np.count_nonzero(_is_joined(kinds, reasons))),
        rows=account.rows + (normal + anomalies if rows is None else rows),
        window_rejected=_window_counts(account, rejected),
        model_version=model_version,
        digest=int(_digest(np.uint64(account.digest), offsets, kinds, reasons, score_bits)),
    )


def counted_rejections(
    offsets: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    reasons: NDArray[np.uint8],
    accept_rejections_until: int,
) -> NDArray[np.bool_]:
    """Return whether each judged record counts as a rejection in the breaker's window.

    `offsets`, `kinds`, `reasons`: shape (n,). The result has shape (judged records,).
    """
    rejected = (kinds == OutcomeKind.DEAD_LETTER) & (offsets >= accept_rejections_until)
    is_judged = (kinds != OutcomeKind.ABSORBED) | _is_joined(kinds, reasons)
    judged_rejected: NDArray[np.bool_] = rejected[is_judged]
    return judged_rejected


def _is_joined(kinds: NDArray[np.uint8], reasons: NDArray[np.uint8]) -> NDArray[np.bool_]:
    is_joined: NDArray[np.bool_] = (kinds == OutcomeKind.ABSORBED) & (reasons == _JOINED)
    return is_joined


def _rows_per_bucket(window_rows: int) -> int:
    return max(1, window_rows // WINDOW_BUCKETS)


def _bucket_edges(account: Account, first_bucket: int, bucket_size: int) -> NDArray[np.float64]:
    """Return where each bucket from `first_bucket` on starts, and where the last one ends.

    The results are record numbers relative to the end of the account, because small numbers are
    exact in float64.
    """
    newest_bucket = max(account.judged - 1, 0) // bucket_size
    bucket_starts = [
        bucket * bucket_size - account.judged for bucket in range(first_bucket, newest_bucket + 1)
    ]
    return np.asarray([*bucket_starts, 0], dtype=np.float64)


def _window_counts(account: Account, rejected: NDArray[np.bool_]) -> tuple[int, ...]:
    """Return the rejections per bucket after n more judged records.

    `rejected`: shape (n,), True for rejections.
    """
    if len(rejected) == 0:
        return account.window_rejected
    record_numbers = account.judged + np.arange(len(rejected))
    bucket_of_record = record_numbers // account.window_bucket_rows - account.oldest_bucket
    counts = np.bincount(bucket_of_record[rejected], minlength=int(bucket_of_record[-1]) + 1)
    counts[: len(account.window_rejected)] += np.asarray(account.window_rejected)
    return tuple(int(count) for count in counts[-WINDOW_BUCKETS:])


# This function is a kernel, because in Python the digest would take longer than the scoring. The
# mixing step is the finaliser of splitmix64 (Steele, Lea, Flood, "Fast splittable pseudorandom
# number generators", OOPSLA 2014).
@kernel
def _digest(
    digest: np.uint64,
    offsets: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    reasons: NDArray[np.uint8],
    score_bits: NDArray[np.uint64],
) -> np.uint64:
    for record in range(len(offsets)):
        outcome = np.uint64(kinds[record]) | (np.uint64(reasons[record]) << np.uint64(8))
        for word in (np.uint64(offsets[record]), outcome, score_bits[record]):
            mixed_word = digest ^ word
            mixed_word = (mixed_word ^ (mixed_word >> np.uint64(30))) * np.uint64(
                0xBF58476D1CE4E5B9
            )
            mixed_word = (mixed_word ^ (mixed_word >> np.uint64(27))) * np.uint64(
                0x94D049BB133111EB
            )
            digest = (mixed_word ^ (mixed_word >> np.uint64(31))) + np.uint64(0x9E3779B97F4A7C15)
    return digest
