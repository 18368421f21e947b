"""The account of an input partition: counts and a running digest of every record's outcome."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.scoring.memory import MAX_SENSORS
from sensorwatch.common.scoring.processing import OutcomeKind

WINDOW_BUCKETS = 10
"""The breaker's window is counted in so many buckets of consecutive records."""
DIGEST_SEED = 0x9E3779B97F4A7C15


@dataclass(frozen=True, slots=True)
class SnapshotRef:
    """Where the newest snapshot of a partition's memory stands."""

    offset: int
    """Of its manifest, in the state topic."""
    next_offset: int
    """Of the input: the first record that the memory knows nothing of."""


@dataclass(frozen=True, slots=True)
class Account:
    """What became of the records of one partition from `first_offset` to before `next_offset`.

    Cumulative, and the same however the records were cut into micro-batches.
    """

    first_offset: int
    next_offset: int
    consumed: int = 0
    normal: int = 0
    anomalies: int = 0
    dead_letters: int = 0
    window_bucket_rows: int = 1_000
    window_rejected: tuple[int, ...] = (0,)
    """Rejections per bucket, oldest first; the last bucket is the one being filled."""
    model_version: str = ""
    """The version that scored the newest records."""
    digest: int = DIGEST_SEED
    """64 bits over (offset, outcome, reason, raw-score bits) since `segment_offset`."""
    segment: int = 0
    """Counts the digest's new beginnings."""
    segment_offset: int = 0
    fingerprint: str = ""
    """Of what decides a score's last bit: code, libraries, CPU kind."""
    snapshot: SnapshotRef | None = None
    """None: the memory was cold at `first_offset`."""
    max_sensors: int = MAX_SENSORS
    """The bound that the memory kept while the newest records were scored."""

    @property
    def adds_up(self) -> bool:
        """Whether consumed = normal + anomalies + dead letters."""
        return self.consumed == self.normal + self.anomalies + self.dead_letters

    @property
    def oldest_bucket(self) -> int:
        """Number of the window's first bucket: k holds records k * window_bucket_rows and on."""
        newest = max(self.consumed - 1, 0) // self.window_bucket_rows
        return newest - len(self.window_rejected) + 1

    @property
    def window(self) -> tuple[int, int]:
        """The breaker's window: its records, and how many of them were rejected."""
        before = self.oldest_bucket * self.window_bucket_rows
        return self.consumed - before, sum(self.window_rejected)


def open_account(
    offset: int,
    *,
    model_version: str,
    fingerprint: str,
    window_rows: int = 10_000,
    max_sensors: int = MAX_SENSORS,
) -> Account:
    """Open the account of a partition whose first record will be at `offset` or later."""
    return Account(
        first_offset=offset,
        next_offset=offset,
        window_bucket_rows=_bucket_rows(window_rows),
        model_version=model_version,
        segment_offset=offset,
        fingerprint=fingerprint,
        max_sensors=max_sensors,
    )


def start_segment(account: Account, *, fingerprint: str) -> Account:
    """Begin the digest anew, because from here on scores may differ in the last bit."""
    return replace(
        account,
        digest=DIGEST_SEED,
        segment=account.segment + 1,
        segment_offset=account.next_offset,
        fingerprint=fingerprint,
    )


def resize_window(account: Account, window_rows: int) -> Account:
    """Count the breaker's window anew where the settings have changed its size.

    Rejections are taken as evenly spread in their old bucket. The new window reaches back no
    farther than the old one, but to the beginning of a bucket: what lies before the old one counts
    as good there.
    """
    size = _bucket_rows(window_rows)
    if size == account.window_bucket_rows:
        return account
    newest = max(account.consumed - 1, 0)
    old_size, old_first = account.window_bucket_rows, account.oldest_bucket
    first = max(old_first * old_size // size, newest // size - WINDOW_BUCKETS + 1, 0)
    total = np.concatenate(([0.0], np.cumsum(account.window_rejected)))
    cumulative = np.interp(
        _bucket_edges(account, first, size), _bucket_edges(account, old_first, old_size), total
    )
    counts = np.diff(np.rint(cumulative).astype(np.int64))
    return replace(
        account, window_bucket_rows=size, window_rejected=tuple(int(count) for count in counts)
    )


def advance_account(
    account: Account,
    *,
    offsets: NDArray[np.int64],
    kinds: NDArray[np.uint8],
    reasons: NDArray[np.uint8],
    score_bits: NDArray[np.uint64],
    model_version: str,
    accept_rejections_until: int = 0,
) -> Account:
    """Account for the next records of the partition, each argument an array (n,) in offset order.

    Rejections at offsets below `accept_rejections_until` are counted, but not in the window.
    Raises ValueError where an offset is not above the ones before it.
    """
    if len(offsets) == 0:
        return account
    if offsets[0] < account.next_offset or np.any(np.diff(offsets) <= 0):
        raise ValueError(f"offsets from {offsets[0]} do not follow {account.next_offset}")
    count = np.bincount(kinds, minlength=4)
    rejected = counted_rejections(offsets, kinds, accept_rejections_until)
    return replace(
        account,
        next_offset=int(offsets[-1]) + 1,
        consumed=account.consumed + len(offsets),
        normal=account.normal + int(count[OutcomeKind.NORMAL]),
        anomalies=account.anomalies + int(count[OutcomeKind.ANOMALY]),
        dead_letters=account.dead_letters + int(count[OutcomeKind.DEAD_LETTER]),
        window_rejected=_window_counts(account, rejected),
        model_version=model_version,
        digest=int(_digest(np.uint64(account.digest), offsets, kinds, reasons, score_bits)),
    )


def counted_rejections(
    offsets: NDArray[np.int64], kinds: NDArray[np.uint8], accept_rejections_until: int
) -> NDArray[np.bool_]:
    """Return which records (n,) the breaker's window counts as rejections."""
    rejected: NDArray[np.bool_] = kinds == OutcomeKind.DEAD_LETTER
    return rejected & (offsets >= accept_rejections_until)


def _bucket_rows(window_rows: int) -> int:
    return max(1, window_rows // WINDOW_BUCKETS)


def _bucket_edges(account: Account, first: int, size: int) -> NDArray[np.float64]:
    """Return where the buckets from `first` to the newest begin, and where the account ends.

    Counted back from there, because small numbers are exact in float64.
    """
    newest = max(account.consumed - 1, 0) // size
    begins = [bucket * size - account.consumed for bucket in range(first, newest + 1)]
    return np.asarray([*begins, 0], dtype=np.float64)


def _window_counts(account: Account, rejected: NDArray[np.bool_]) -> tuple[int, ...]:
    """Count rejections into the buckets that the records' running numbers fall into."""
    number = account.consumed + np.arange(len(rejected))
    bucket = number // account.window_bucket_rows - account.oldest_bucket
    counts = np.bincount(bucket[rejected], minlength=int(bucket[-1]) + 1)
    counts[: len(account.window_rejected)] += np.asarray(account.window_rejected)
    return tuple(int(count) for count in counts[-WINDOW_BUCKETS:])


# One record after the other, so that the digest can go on from its value alone: compiled, because
# in Python it would cost more than the scoring. The mixing step is splitmix64's finaliser
# (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014).
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
            mixed = digest ^ word
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            digest = (mixed ^ (mixed >> np.uint64(31))) + np.uint64(0x9E3779B97F4A7C15)
    return digest
