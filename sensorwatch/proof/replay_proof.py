"""Verification of ledger intervals by scoring the input again."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

from sensorwatch.common.errors import ModelRefused, StateRefused
from sensorwatch.common.kafka.records import Partition, Record
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import Account, SnapshotRef
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.consumer.restoration import replay_records
from sensorwatch.proof.ledger_intervals import COUNT_FIELDS, Finding, LedgerInterval, Verdict

REPLAY_CHUNK_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class ProofInputs:
    """The functions that read the input records, models and snapshots for a proof."""

    fingerprint: str
    """Fingerprint of this process."""
    first_retained: Callable[[Partition], int]
    """Returns the offset of the oldest record that still exists in an input partition."""
    records: Callable[[LedgerInterval], Iterator[Record]]
    """Returns the input records of an interval."""
    detector: Callable[[str, str], Detector]
    """Returns the detector of a model version under the policy with this id. Raises
    ModelRefused."""
    snapshot: Callable[[Partition, SnapshotRef], Snapshot]
    """Returns a snapshot of a partition's memory. Raises StateRefused if the snapshot no longer
    exists."""


@dataclass(frozen=True, slots=True)
class _ReplayState:
    """The memory and account after the last verified interval."""

    memory: Memory
    account: Account
    version: str
    is_proven: bool
    """True if the interval was proven, and its account has the fingerprint of this process."""


class ReplayProof:
    """Verifies the intervals of one partition, in order, with one memory for all of them.

    The memory is cold at the opening of the account. If the model version changes in the ledger,
    the new version adopts the memory. If the earlier input is deleted, or was scored by a different
    version of the code, the memory comes from a snapshot. If an interval ends with a snapshot,
    memory and snapshot must be equal, byte for byte.
    """

    def __init__(self, inputs: ProofInputs) -> None:
        self._inputs = inputs
        self._state: _ReplayState | None = None

    def verify(self, ledger_interval: LedgerInterval) -> Finding:
        """Score an interval again, and compare account and memory with the stored values.

        Call this method for all intervals of the partition, in order.
        """
        previous_state, self._state = self._state, None
        first_retained = self._inputs.first_retained(ledger_interval.partition)
        if first_retained > ledger_interval.begin.next_offset:
            reason = (
                f"offsets {ledger_interval.begin.next_offset} to {first_retained - 1} are deleted"
            )
            return Finding(ledger_interval, Verdict.NOT_RETAINED, reason)
        try:
            detector = self._inputs.detector(ledger_interval.version, ledger_interval.policy)
        except ModelRefused as error:
            return Finding(ledger_interval, Verdict.NO_MODEL, str(error))
        try:
            memory = self._starting_memory(ledger_interval, previous_state, detector)
        except StateRefused:
            offset = ledger_interval.begin.next_offset
            reason = f"the memory at offset {offset} and the input before it are not retained"
            return Finding(ledger_interval, Verdict.NOT_RETAINED, reason)
        memory.max_sensors = ledger_interval.end.max_sensors
        memory.silence_rule = ledger_interval.end.silence_rule
        account = _recompute_account(
            ledger_interval, self._inputs.records(ledger_interval), detector, memory
        )
        finding = self._compare(ledger_interval, account, memory, detector)
        is_proven = finding.verdict is Verdict.PROVEN and self._has_same_fingerprint(
            ledger_interval
        )
        self._state = _ReplayState(memory, ledger_interval.end, detector.version, is_proven)
        return finding

    def _has_same_fingerprint(self, ledger_interval: LedgerInterval) -> bool:
        return ledger_interval.end.fingerprint == self._inputs.fingerprint

    def _starting_memory(
        self,
        ledger_interval: LedgerInterval,
        previous_state: _ReplayState | None,
        detector: Detector,
    ) -> Memory:
        """Return the memory at the start of the interval.

        Raises StateRefused if it cannot be restored.
        """
        start_account = ledger_interval.begin
        if start_account.consumed == 0:
            return detector.empty_memory()
        carried_memory = (
            None if previous_state is None else self._carry_memory(ledger_interval, previous_state)
        )
        if previous_state is not None and previous_state.is_proven and carried_memory is not None:
            return carried_memory
        try:
            return self._memory_from_snapshot(ledger_interval.partition, start_account, detector)
        except StateRefused:
            if carried_memory is None:
                raise
            return carried_memory

    def _carry_memory(
        self, ledger_interval: LedgerInterval, previous_state: _ReplayState
    ) -> Memory | None:
        """Return the memory of the previous interval, after each later version has adopted it.

        Return None if the intervals do not follow each other or a version cannot be loaded.
        """
        start_account, current_version = ledger_interval.begin, previous_state.version
        previous_end = (previous_state.account.next_offset, previous_state.account.segment)
        if previous_end != (start_account.next_offset, start_account.segment):
            return None
        try:
            for version in (*ledger_interval.unused_versions, ledger_interval.version):
                if version != current_version:
                    previous_state.memory.adopt(self._inputs.detector(version, ""))
                current_version = version
        except ModelRefused:
            return None
        return previous_state.memory

    def _memory_from_snapshot(
        self, partition: Partition, account: Account, detector: Detector
    ) -> Memory:
        """Return the memory in the snapshot that was written with `account`.

        Raises StateRefused.
        """
        snapshot = self._snapshot(partition, account)
        if snapshot.model_version != detector.version:
            raise StateRefused(
                f"the snapshot at offset {account.next_offset} is from version "
                f"{snapshot.model_version}, wanted {detector.version}"
            )
        return memory_from_bytes(snapshot.content, detector)

    def _snapshot(self, partition: Partition, account: Account) -> Snapshot:
        """Return the snapshot that was written with `account`.

        Raises StateRefused if there is none.
        """
        if account.snapshot is None or account.snapshot.next_offset != account.next_offset:
            raise StateRefused(f"the ledger has no snapshot at offset {account.next_offset}")
        return self._inputs.snapshot(partition, account.snapshot)

    def _compare(
        self,
        ledger_interval: LedgerInterval,
        recomputed: Account,
        memory: Memory,
        detector: Detector,
    ) -> Finding:
        differences = _count_differences(recomputed, ledger_interval.end)
        same_fingerprint = self._has_same_fingerprint(ledger_interval)
        same_digest = recomputed.digest == ledger_interval.end.digest
        if same_fingerprint and not same_digest:
            ledger_digest_text = f"digest {ledger_interval.end.digest:016x} in the ledger"
            differences.append(f"{ledger_digest_text}, {recomputed.digest:016x} recomputed")
        if same_fingerprint and not differences:
            differences += self._memory_differences(ledger_interval, memory, detector)
        if differences:
            return Finding(ledger_interval, Verdict.DIFFERENT, "; ".join(differences))
        if same_digest:
            return Finding(ledger_interval, Verdict.PROVEN)
        own_fingerprint = self._inputs.fingerprint
        detail = (
            f"written by code with fingerprint {ledger_interval.end.fingerprint}, "
            f"verified by {own_fingerprint}"
        )
        return Finding(ledger_interval, Verdict.COUNTS_ONLY, detail)

    def _memory_differences(
        self, ledger_interval: LedgerInterval, memory: Memory, detector: Detector
    ) -> list[str]:
        """Return a text if memory and snapshot differ; [] if they agree or cannot be compared."""
        content = memory_to_bytes(memory)
        try:
            snapshot = self._snapshot(ledger_interval.partition, ledger_interval.end)
            if snapshot.account.segment != ledger_interval.end.segment:
                return []  # Another version of the code wrote the memory, so its values may differ.
            if snapshot.model_version != detector.version:
                # The snapshot was written after a new version had adopted the memory.
                adopted_memory = memory_from_bytes(content, detector)
                adopted_memory.adopt(self._inputs.detector(snapshot.model_version, ""))
                content = memory_to_bytes(adopted_memory)
        except (StateRefused, ModelRefused):
            return []
        if content == snapshot.content:
            return []
        return [f"the snapshot at offset {ledger_interval.end.next_offset} differs from the memory"]


def _recompute_account(
    ledger_interval: LedgerInterval, records: Iterator[Record], detector: Detector, memory: Memory
) -> Account:
    account = ledger_interval.begin
    while chunk := list(islice(records, REPLAY_CHUNK_ROWS)):
        account = replay_records(account, chunk, detector, memory)
    return account


def _count_differences(recomputed_account: Account, ledger_account: Account) -> list[str]:
    return [
        f"{name} {getattr(ledger_account, name)} in the ledger, "
        f"{getattr(recomputed_account, name)} recomputed"
        for name in COUNT_FIELDS
        if getattr(ledger_account, name) != getattr(recomputed_account, name)
    ]
