"""A memory out of its snapshot, and out of the input since then, which is scored again."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sensorwatch.common.errors import MemoryRefused, ModelRefused
from sensorwatch.common.kafka.records import Partition, Record, coordinates, received_at
from sensorwatch.common.kafka.snapshot_text import Snapshot, raise_state_refused
from sensorwatch.common.ledger.account import Account, SnapshotRef, advance_account
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes
from sensorwatch.common.scoring.processing import process

REPLAY_BATCH_ROWS = 5_000
"""Scored in about a tenth of a second."""
COMPARED_FIELDS = ("next_offset", "consumed", "normal", "anomalies", "dead_letters")


@dataclass(frozen=True, slots=True)
class RestoreSources:
    """Where a memory is restored from."""

    snapshot: Callable[[Partition, SnapshotRef], Snapshot]
    """The snapshot of a partition that a committed account names; raises StateRefused."""
    records: Callable[[Partition, int, int], Iterator[Sequence[Record]]]
    """The input from one offset to before another, piece by piece; empty while waiting."""
    detector: Callable[[str], Detector]
    """A model version; raises ModelRefused."""
    fingerprint: str
    """Of this process."""
    partitions: int
    """How many the input had when this process began."""


def restore_memory(
    partition: Partition, account: Account, champion: Detector, sources: RestoreSources
) -> Generator[None, None, Memory]:
    """Restore the memory that stands at a committed account; every yield is a place to poll.

    Only an account of nothing has a cold memory; any other names a snapshot. Nobody trusts what
    comes out: the input since the snapshot is scored again, and has to give the committed account.
    Raises StateRefused where that cannot be, or is not so.
    """
    if account.snapshot is None:
        if account.consumed:
            raise_state_refused(
                f"the account of {partition} at offset {account.next_offset} names no snapshot of "
                "its memory (was it committed by an older sensorwatch?)"
            )
        if partition.number >= sources.partitions:
            raise_state_refused(
                f"{partition} is new: the input had {sources.partitions} partitions when this "
                "worker began, and with another number its sensors may have moved"
            )
        return champion.empty_memory(max_sensors=account.max_sensors)
    snapshot = sources.snapshot(partition, account.snapshot)
    yield
    detector = _detector(partition, account, champion, snapshot, sources)
    try:
        memory = memory_from_bytes(snapshot.content, detector, max_sensors=account.max_sensors)
    except MemoryRefused as error:
        raise_state_refused(
            f"the snapshot of {partition} at offset {snapshot.next_offset}: {error}"
        )
    yield
    replayed = snapshot.account
    batches = sources.records(partition, replayed.next_offset, account.next_offset)
    for records in _merged(batches):
        if records:
            replayed = replay_records(replayed, records, detector, memory)
        yield
    _require_same_account(partition, replayed, account, sources.fingerprint)
    return memory


def _merged(batches: Iterator[Sequence[Record]]) -> Iterator[list[Record]]:
    """Put pieces together for as long as they follow each other: many rows at once cost less."""
    records: list[Record] = []
    for batch in batches:
        records += batch
        if not batch or len(records) >= REPLAY_BATCH_ROWS:
            yield records
            records = []
    yield records


def _detector(
    partition: Partition,
    account: Account,
    champion: Detector,
    snapshot: Snapshot,
    sources: RestoreSources,
) -> Detector:
    model_version_wanted = snapshot.model_version
    if not model_version_wanted == snapshot.account.model_version == account.model_version:
        raise_state_refused(
            f"the snapshot of {partition} is of model version {model_version_wanted}, its account at offset "
            f"{account.next_offset} of {account.model_version}"
        )
    if model_version_wanted == champion.version:
        return champion
    try:
        return sources.detector(model_version_wanted)
    except ModelRefused as error:
        raise_state_refused(
            f"the memory of {partition} is of a model version that the registry does not give: "
            f"{error}. Put that version back, if you have it"
        )


def replay_records(
    account: Account, records: Sequence[Record], detector: Detector, memory: Memory
) -> Account:
    """Move the memory on over records that were scored before, and the account with it."""
    offsets = np.asarray([coordinates(record).offset for record in records], dtype=np.int64)
    outcome = process(
        [record.value() for record in records],
        detector,
        memory,
        positions=offsets,
        received=[received_at(record) for record in records],
    )
    return advance_account(
        account,
        offsets=offsets,
        kinds=outcome.kinds,
        reasons=outcome.reasons,
        score_bits=outcome.score_bits,
        model_version=detector.version,
    )


def _require_same_account(
    partition: Partition, replayed: Account, account: Account, fingerprint: str
) -> None:
    """Raise StateRefused unless scoring again led to the committed account.

    Where other code, libraries or another CPU kind scored the records, the last bits may differ and
    the counts alone are compared; a new segment of the digest then begins, with a snapshot.
    """
    differences = [
        f"{name} {getattr(account, name)}, {getattr(replayed, name)} again"
        for name in COMPARED_FIELDS
        if getattr(account, name) != getattr(replayed, name)
    ]
    comparable = replayed.fingerprint == account.fingerprint == fingerprint
    if comparable and replayed.digest != account.digest:
        differences.append(f"digest {account.digest:016x}, {replayed.digest:016x} again")
    if differences:
        raise_state_refused(
            f"the memory of {partition} cannot be restored: scored again from its snapshot on, the "
            f"input gives another account ({'; '.join(differences)}). Was input deleted that is "
            "newer than the snapshot, or the topic made anew?"
        )
