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
from sensorwatch.common.scoring.memory_bytes import memory_bytes, memory_from_bytes
from sensorwatch.consumer.restoration import replay_records
from sensorwatch.proof.ledger_intervals import COUNTS, Finding, Stretch, Verdict

ROWS = 10_000


@dataclass(frozen=True, slots=True)
class Evidence:
    """Where a proof takes from what it needs."""

    fingerprint: str
    """Of this process."""
    first_retained: Callable[[Partition], int]
    records: Callable[[Stretch], Iterator[Record]]
    """The input of a stretch."""
    detector: Callable[[str], Detector]
    """A model version; raises ModelRefused."""
    snapshot: Callable[[Partition, SnapshotRef], Snapshot]
    """Raises StateRefused where it is there no more."""


@dataclass(frozen=True, slots=True)
class _Reached:
    """Where scoring again has led to."""

    memory: Memory
    account: Account
    version: str
    proven: bool


class Proof:
    """Walks through the stretches of one partition, in order, with one memory.

    It is cold where the account was opened, is handed from version to version where the ledger
    tells of a swap, and is taken from a snapshot where its past cannot be scored again: that is no
    longer retained, or was scored by other code, whose bits are others. Where both are there, the
    memory reached and the one that was written down have to be the same, byte for byte.
    """

    def __init__(self, evidence: Evidence) -> None:
        self._evidence = evidence
        self._reached: _Reached | None = None

    def verify(self, stretch: Stretch) -> Finding:
        """Score a stretch again and compare account and memory with what was written of them."""
        before, self._reached = self._reached, None
        first = self._evidence.first_retained(stretch.partition)
        if first > stretch.begin.next_offset:
            gone = f"offsets {stretch.begin.next_offset} to {first - 1} are deleted"
            return Finding(stretch, Verdict.NOT_RETAINED, gone)
        try:
            detector = self._evidence.detector(stretch.version)
        except ModelRefused as error:
            return Finding(stretch, Verdict.NO_MODEL, str(error))
        try:
            memory = self._memory(stretch, before, detector)
        except StateRefused:
            at = stretch.begin.next_offset
            gone = f"the memory at offset {at} is kept no more, nor what it came from"
            return Finding(stretch, Verdict.NOT_RETAINED, gone)
        memory.max_sensors = stretch.end.max_sensors
        account = _account_again(stretch, self._evidence.records(stretch), detector, memory)
        finding = self._judged(stretch, account, memory, detector)
        proven = finding.verdict is Verdict.PROVEN and self._is_ours(stretch)
        self._reached = _Reached(memory, stretch.end, detector.version, proven)
        return finding

    def _is_ours(self, stretch: Stretch) -> bool:
        return stretch.end.fingerprint == self._evidence.fingerprint

    def _memory(self, stretch: Stretch, before: _Reached | None, detector: Detector) -> Memory:
        """Give the memory that the stretch begins with; raises StateRefused."""
        begin = stretch.begin
        if begin.consumed == 0:
            return detector.empty_memory()
        carried = None if before is None else self._handed_on(stretch, before)
        if before is not None and before.proven and carried is not None:
            return carried
        try:
            return self._written(stretch.partition, begin, detector)
        except StateRefused:
            if carried is None:
                raise
            return carried

    def _handed_on(self, stretch: Stretch, before: _Reached) -> Memory | None:
        """Hand the memory over to each version that came; None where that cannot be said."""
        begin, held = stretch.begin, before.version
        at = (before.account.next_offset, before.account.segment)
        if at != (begin.next_offset, begin.segment):
            return None
        try:
            for version in (*stretch.between, stretch.version):
                if version != held:
                    before.memory.adopt(self._evidence.detector(version))
                held = version
        except ModelRefused:
            return None
        return before.memory

    def _written(self, partition: Partition, at: Account, detector: Detector) -> Memory:
        """Read a memory back for this version; raises StateRefused."""
        found = self._snapshot(partition, at)
        if found.model_version != detector.version:
            raise StateRefused(f"the snapshot at offset {at.next_offset} is another version's")
        return memory_from_bytes(found.content, detector)

    def _snapshot(self, partition: Partition, at: Account) -> Snapshot:
        """Read the memory that was written down at this account; raises StateRefused."""
        if at.snapshot is None or at.snapshot.next_offset != at.next_offset:
            raise StateRefused(f"the ledger names no snapshot at offset {at.next_offset}")
        return self._evidence.snapshot(partition, at.snapshot)

    def _judged(
        self, stretch: Stretch, again: Account, memory: Memory, detector: Detector
    ) -> Finding:
        differences, ours = _differences(again, stretch.end), self._is_ours(stretch)
        same = again.digest == stretch.end.digest
        if ours and not same:
            ledger = f"digest {stretch.end.digest:016x} in the ledger"
            differences.append(f"{ledger}, {again.digest:016x} again")
        if ours and not differences:
            differences += self._differences_of_memory(stretch, memory, detector)
        if differences:
            return Finding(stretch, Verdict.DIFFERENT, "; ".join(differences))
        if same:
            return Finding(stretch, Verdict.PROVEN)
        here = self._evidence.fingerprint
        detail = f"written by fingerprint {stretch.end.fingerprint}, here it is {here}"
        return Finding(stretch, Verdict.COUNTS_ONLY, detail)

    def _differences_of_memory(
        self, stretch: Stretch, memory: Memory, detector: Detector
    ) -> list[str]:
        """Compare the memory reached with the one written down, where one can be read."""
        content = memory_bytes(memory)
        try:
            written = self._snapshot(stretch.partition, stretch.end)
            if written.account.segment != stretch.end.segment:
                return []  # restored by other code, and so of other bits
            if written.model_version != detector.version:  # when the next one had taken over
                taken_over = memory_from_bytes(content, detector)
                taken_over.adopt(self._evidence.detector(written.model_version))
                content = memory_bytes(taken_over)
        except (StateRefused, ModelRefused):
            return []
        if content == written.content:
            return []
        return [f"the memory written down at offset {stretch.end.next_offset} is not that of again"]


def _account_again(
    stretch: Stretch, records: Iterator[Record], detector: Detector, memory: Memory
) -> Account:
    account = stretch.begin
    while chunk := list(islice(records, ROWS)):
        account = replay_records(account, chunk, detector, memory)
    return account


def _differences(again: Account, ledger: Account) -> list[str]:
    return [
        f"{name} {getattr(ledger, name)} in the ledger, {getattr(again, name)} again"
        for name in COUNTS
        if getattr(ledger, name) != getattr(again, name)
    ]
