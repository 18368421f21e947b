"""Proof that nothing was lost, doubled or scored differently: score the input again, compare."""

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
from sensorwatch.proof.ledger_intervals import COUNTS, Finding, LedgerInterval, Verdict

REPLAY_CHUNK_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class ProofInputs:
    """Where a proof takes from what it needs."""

    fingerprint: str
    """Of this process."""
    first_retained: Callable[[Partition], int]
    records: Callable[[LedgerInterval], Iterator[Record]]
    """The input of a stretch."""
    detector: Callable[[str], Detector]
    """A model version; raises ModelRefused."""
    snapshot: Callable[[Partition, SnapshotRef], Snapshot]
    """Raises StateRefused where it is there no more."""


@dataclass(frozen=True, slots=True)
class _ReplayState:
    """Where scoring again has led to."""

    memory: Memory
    account: Account
    version: str
    proven: bool


class ReplayProof:
    """Walks through the stretches of one partition, in order, with one memory.

    It is cold where the account was opened, is handed from version to version where the ledger
    tells of a swap, and is taken from a snapshot where its past cannot be scored again: that is no
    longer retained, or was scored by other code, whose bits are others. Where both are there, the
    memory reached and the one that was written down have to be the same, byte for byte.
    """

    def __init__(self, inputs: ProofInputs) -> None:
        self._inputs = inputs
        self._state: _ReplayState | None = None

    def verify(self, interval: LedgerInterval) -> Finding:
        """Score a stretch again and compare account and memory with what was written of them."""
        previous, self._state = self._state, None
        first = self._inputs.first_retained(interval.partition)
        if first > interval.begin.next_offset:
            reason = f"offsets {interval.begin.next_offset} to {first - 1} are deleted"
            return Finding(interval, Verdict.NOT_RETAINED, reason)
        try:
            detector = self._inputs.detector(interval.version)
        except ModelRefused as error:
            return Finding(interval, Verdict.NO_MODEL, str(error))
        try:
            memory = self._starting_memory(interval, previous, detector)
        except StateRefused:
            at = interval.begin.next_offset
            reason = f"the memory at offset {at} is kept no more, nor what it came from"
            return Finding(interval, Verdict.NOT_RETAINED, reason)
        memory.max_sensors = interval.end.max_sensors
        account = _recompute_account(interval, self._inputs.records(interval), detector, memory)
        finding = self._compare(interval, account, memory, detector)
        proven = finding.verdict is Verdict.PROVEN and self._has_same_fingerprint(interval)
        self._state = _ReplayState(memory, interval.end, detector.version, proven)
        return finding

    def _has_same_fingerprint(self, interval: LedgerInterval) -> bool:
        return interval.end.fingerprint == self._inputs.fingerprint

    def _starting_memory(
        self, interval: LedgerInterval, previous: _ReplayState | None, detector: Detector
    ) -> Memory:
        """Give the memory that the stretch begins with; raises StateRefused."""
        begin = interval.begin
        if begin.consumed == 0:
            return detector.empty_memory()
        carried_memory = None if previous is None else self._carry_memory(interval, previous)
        if previous is not None and previous.proven and carried_memory is not None:
            return carried_memory
        try:
            return self._memory_from_snapshot(interval.partition, begin, detector)
        except StateRefused:
            if carried_memory is None:
                raise
            return carried_memory

    def _carry_memory(self, interval: LedgerInterval, previous: _ReplayState) -> Memory | None:
        """Hand the memory over to each version that came; None where that cannot be said."""
        begin, current_version = interval.begin, previous.version
        at = (previous.account.next_offset, previous.account.segment)
        if at != (begin.next_offset, begin.segment):
            return None
        try:
            for version in (*interval.unused_versions, interval.version):
                if version != current_version:
                    previous.memory.adopt(self._inputs.detector(version))
                current_version = version
        except ModelRefused:
            return None
        return previous.memory

    def _memory_from_snapshot(
        self, partition: Partition, at: Account, detector: Detector
    ) -> Memory:
        """Read a memory back for this version; raises StateRefused."""
        found = self._snapshot(partition, at)
        if found.model_version != detector.version:
            raise StateRefused(f"the snapshot at offset {at.next_offset} is another version's")
        return memory_from_bytes(found.content, detector)

    def _snapshot(self, partition: Partition, at: Account) -> Snapshot:
        """Read the memory that was written down at this account; raises StateRefused."""
        if at.snapshot is None or at.snapshot.next_offset != at.next_offset:
            raise StateRefused(f"the ledger names no snapshot at offset {at.next_offset}")
        return self._inputs.snapshot(partition, at.snapshot)

    def _compare(
        self, interval: LedgerInterval, recomputed: Account, memory: Memory, detector: Detector
    ) -> Finding:
        differences, same_fingerprint = (
            _count_differences(recomputed, interval.end),
            self._has_same_fingerprint(interval),
        )
        same_digest = recomputed.digest == interval.end.digest
        if same_fingerprint and not same_digest:
            ledger = f"digest {interval.end.digest:016x} in the ledger"
            differences.append(f"{ledger}, {recomputed.digest:016x} again")
        if same_fingerprint and not differences:
            differences += self._memory_differences(interval, memory, detector)
        if differences:
            return Finding(interval, Verdict.DIFFERENT, "; ".join(differences))
        if same_digest:
            return Finding(interval, Verdict.PROVEN)
        own_fingerprint = self._inputs.fingerprint
        detail = f"written by fingerprint {interval.end.fingerprint}, here it is {own_fingerprint}"
        return Finding(interval, Verdict.COUNTS_ONLY, detail)

    def _memory_differences(
        self, interval: LedgerInterval, memory: Memory, detector: Detector
    ) -> list[str]:
        """Compare the memory reached with the one written down, where one can be read."""
        content = memory_to_bytes(memory)
        try:
            stored_snapshot = self._snapshot(interval.partition, interval.end)
            if stored_snapshot.account.segment != interval.end.segment:
                return []  # restored by other code, and so of other bits
            if (
                stored_snapshot.model_version != detector.version
            ):  # when the next one had taken over
                adopted_memory = memory_from_bytes(content, detector)
                adopted_memory.adopt(self._inputs.detector(stored_snapshot.model_version))
                content = memory_to_bytes(adopted_memory)
        except (StateRefused, ModelRefused):
            return []
        if content == stored_snapshot.content:
            return []
        return [
            f"the memory written down at offset {interval.end.next_offset} is not that of again"
        ]


def _recompute_account(
    interval: LedgerInterval, records: Iterator[Record], detector: Detector, memory: Memory
) -> Account:
    account = interval.begin
    while chunk := list(islice(records, REPLAY_CHUNK_ROWS)):
        account = replay_records(account, chunk, detector, memory)
    return account


def _count_differences(recomputed: Account, ledger: Account) -> list[str]:
    return [
        f"{name} {getattr(ledger, name)} in the ledger, {getattr(recomputed, name)} again"
        for name in COUNTS
        if getattr(ledger, name) != getattr(recomputed, name)
    ]
