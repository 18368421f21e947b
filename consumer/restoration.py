"""Restores a partition's memory from its snapshot and the input since the snapshot."""

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sensorwatch.common.errors import MemoryRefused, ModelRefused
from sensorwatch.common.kafka.records import Partition, Record, coordinates, received_at
from sensorwatch.common.kafka.snapshot_text import Snapshot, raise_state_refused
from sensorwatch.common.kafka.source_values import sources_of_records
from sensorwatch.common.ledger.account import Account, SnapshotRef, advance_account
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes
from sensorwatch.common.scoring.processing import process
from sensorwatch.consumer.memories import memory_version_of
from sensorwatch.consumer.ownership import Ownership

MAX_STEP_SECONDS = 0.1
"""After this time `step` returns, so that the loop can poll and score other partitions."""
REPLAY_BATCH_ROWS = 5_000
"""Number of records that are replayed at once; scoring them takes about a tenth of a second."""
COMPARED_ACCOUNT_FIELDS = (
    "next_offset",
    "consumed",
    "normal",
    "anomalies",
    "dead_letters",
    "absorbed",
    "joined",
    "rows",
)
"""Fields of the account that a replay must reproduce even if the fingerprint has changed."""


class PausedSource(Protocol):
    """An input that delivers no records of a partition until the partition is resumed."""

    def resume_partitions(self, partitions: Sequence[Partition]) -> None:
        """Resume these partitions, so that their records are delivered."""


@dataclass(frozen=True, slots=True)
class RestoreSources:
    """The functions with which a restore reads snapshots, records and model versions."""

    read_snapshot: Callable[[Partition, SnapshotRef], Snapshot]
    """Reads the snapshot that a partition's committed account names; raises StateRefused."""
    read_records: Callable[[Partition, int, int], Iterator[Sequence[Record]]]
    """Reads the records between two offsets; yields an empty batch while it waits for records."""
    load_detector: Callable[[str, str], Detector]
    """Loads a model version under the policy with this id; raises ModelRefused."""
    fingerprint: str
    """The fingerprint of this process."""
    partitions: int
    """Number of input partitions when this process started."""


@dataclass(frozen=True, slots=True)
class _RunningRestore:
    partition: Partition
    account: Account
    started_at: float
    steps: Generator[None, None, Memory]


class MemoryRestorer:
    """Restores the memories of newly assigned partitions, one partition at a time.

    The loop polls between two steps, so the worker stays a member of the group during a long
    restore. A restore is cancelled if its partition was revoked or its account has changed.
    """

    def __init__(
        self,
        ownership: Ownership,
        paused_source: PausedSource,
        sources: RestoreSources,
        *,
        on_restored: Callable[[Partition, Memory, float], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Create a restorer.

        `on_restored` gets the partition, its memory and the duration of the restore in seconds.
        """
        self._ownership = ownership
        self._paused_source = paused_source
        self._sources = sources
        self._on_restored = on_restored
        self._clock = clock
        self._running_restore: _RunningRestore | None = None

    def step(self, champion: Detector) -> int:
        """Restore for about MAX_STEP_SECONDS; return how many partitions still have no memory.

        Raises StateRefused if a memory cannot be restored, and BrokerUnavailable if the broker does
        not answer.
        """
        deadline = self._clock() + MAX_STEP_SECONDS
        while True:
            self._cancel_if_outdated()
            partitions = self._ownership.awaiting_memory
            if partitions:
                self._run_step(self._running_restore or self._begin(partitions[0], champion))
            if not partitions or self._clock() >= deadline:
                return len(self._ownership.awaiting_memory)

    def _begin(self, partition: Partition, champion: Detector) -> _RunningRestore:
        account = self._ownership.accounts.by_partition[partition]
        steps = restore_memory(partition, account, champion, self._sources)
        self._running_restore = _RunningRestore(partition, account, self._clock(), steps)
        return self._running_restore

    def _run_step(self, running_restore: _RunningRestore) -> None:
        try:
            next(running_restore.steps)
        except StopIteration as result:
            self._running_restore = None
            self._ownership.add_restored(
                running_restore.partition, result.value, running_restore.account
            )
            self._on_restored(
                running_restore.partition, result.value, self._clock() - running_restore.started_at
            )
            self._paused_source.resume_partitions([running_restore.partition])

    def _cancel_if_outdated(self) -> None:
        running_restore = self._running_restore
        if running_restore is None:
            return
        account = self._ownership.accounts.by_partition.get(running_restore.partition)
        if account is None or memory_version_of(account) != memory_version_of(
            running_restore.account
        ):
            running_restore.steps.close()
            self._running_restore = None


def restore_memory(
    partition: Partition, account: Account, champion: Detector, sources: RestoreSources
) -> Generator[None, None, Memory]:
    """Return the memory that belongs to a committed account; yield whenever the loop may poll.

    An account without records gets a cold memory. Any other account names a snapshot: the records
    since the snapshot are replayed, and the replayed account is compared with the committed one.
    Raises StateRefused if there is no usable snapshot or if the two accounts differ.
    """
    if account.snapshot is None:
        _require_cold_start(partition, account, sources.partitions)
        return champion.empty_memory(
            max_sensors=account.max_sensors, silence_rule=account.silence_rule
        )
    snapshot = sources.read_snapshot(partition, account.snapshot)
    yield
    detector = _detector_of_snapshot(partition, account, champion, snapshot, sources)
    try:
        memory = memory_from_bytes(
            snapshot.content,
            detector,
            max_sensors=account.max_sensors,
            silence_rule=account.silence_rule,
        )
    except MemoryRefused as error:
        raise_state_refused(
            f"the snapshot of {partition} at offset {snapshot.next_offset}: {error}"
        )
    yield
    replayed_account = snapshot.account
    batches = sources.read_records(partition, replayed_account.next_offset, account.next_offset)
    for records in _merge_batches(batches):
        if records:
            replayed_account = replay_records(replayed_account, records, detector, memory)
        yield
    _require_same_account(partition, replayed_account, account, sources.fingerprint)
    return memory


def _require_cold_start(partition: Partition, account: Account, partitions: int) -> None:
    """Raise StateRefused unless a partition without a snapshot may start with a cold memory."""
    if account.consumed:
        raise_state_refused(
            f"the account of {partition} at offset {account.next_offset} names no snapshot of its "
            "memory (was it committed by an older sensorwatch?)"
        )
    if partition.number >= partitions:
        raise_state_refused(
            f"{partition} is new: the input had {partitions} partitions when this worker started, "
            "and another number of partitions may assign sensors to other partitions"
        )


def _merge_batches(batches: Iterator[Sequence[Record]]) -> Iterator[list[Record]]:
    """Merge small batches, because large batches cost less per row.

    An empty batch shows that the reader waits, so the records before it are yielded at once.
    """
    records: list[Record] = []
    for batch in batches:
        records += batch
        if not batch or len(records) >= REPLAY_BATCH_ROWS:
            yield records
            records = []
    yield records


def _detector_of_snapshot(
    partition: Partition,
    account: Account,
    champion: Detector,
    snapshot: Snapshot,
    sources: RestoreSources,
) -> Detector:
    version, policy = snapshot.model_version, account.policy
    if snapshot.account.policy != policy:
        raise_state_refused(
            f"the snapshot of {partition} was written under the policy "
            f'"{snapshot.account.policy}", but its account at offset {account.next_offset} has the '
            f'policy "{policy}"'
        )
    if not version == snapshot.account.model_version == account.model_version:
        raise_state_refused(
            f"the snapshot of {partition} was written by model version {version}, but its account "
            f"at offset {account.next_offset} was written by {account.model_version}"
        )
    if (version, policy) == (champion.version, champion.policy_id):
        return champion
    try:
        return sources.load_detector(version, policy)
    except ModelRefused as error:
        raise_state_refused(
            f"the memory of {partition} needs a model version and policy that the registry cannot "
            f"load: {error}. Restore them if you have them"
        )


def replay_records(
    account: Account, records: Sequence[Record], detector: Detector, memory: Memory
) -> Account:
    """Return the account after scoring `records` again; `memory` is updated in place."""
    offsets = np.asarray([coordinates(record).offset for record in records], dtype=np.int64)
    outcome = process(
        [record.value() for record in records],
        detector,
        memory,
        positions=offsets,
        received=[received_at(record) for record in records],
        sources=sources_of_records(records, detector.schema),
    )
    return advance_account(
        account,
        offsets=offsets,
        kinds=outcome.kinds,
        reasons=outcome.reasons,
        score_bits=outcome.score_bits,
        model_version=detector.version,
        rows=outcome.rows,
    )


def _require_same_account(
    partition: Partition, replayed_account: Account, account: Account, fingerprint: str
) -> None:
    """Raise StateRefused unless the replay reproduced the committed account.

    The digest is compared only if snapshot, account and this process have the same fingerprint. A
    different version of the code or of a library, or another kind of CPU, may change the last bits
    of a score. After such a change the worker starts a new segment and writes a snapshot.
    """
    differences = [
        f"{name}: committed {getattr(account, name)}, replayed {getattr(replayed_account, name)}"
        for name in COMPARED_ACCOUNT_FIELDS
        if getattr(account, name) != getattr(replayed_account, name)
    ]
    can_compare_digests = replayed_account.fingerprint == account.fingerprint == fingerprint
    if can_compare_digests and replayed_account.digest != account.digest:
        differences.append(
            f"digest: committed {account.digest:016x}, replayed {replayed_account.digest:016x}"
        )
    if differences:
        raise_state_refused(
            f"the memory of {partition} cannot be restored: replaying the input since its snapshot "
            f"gives another account ({'; '.join(differences)}). Probable cause: input newer than "
            "the snapshot was deleted, or the topic was created again"
        )
