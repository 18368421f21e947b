"""A memory out of its snapshot, and out of the input since then, which is scored again."""

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from sensorwatch.common.errors import MemoryRefused, ModelRefused
from sensorwatch.common.kafka.records import Partition, Record, coordinates, received_at
from sensorwatch.common.kafka.snapshot_text import Snapshot, refuse
from sensorwatch.common.ledger.account import Account, SnapshotAt, advance
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_of
from sensorwatch.common.scoring.processing import process

PIECE_ROWS = 5_000
"""Scored in about a tenth of a second."""
COUNTS = ("next_offset", "consumed", "normal", "anomalies", "dead_letters")


@dataclass(frozen=True, slots=True)
class Stores:
    """Where a memory is restored from."""

    snapshot: Callable[[Partition, SnapshotAt], Snapshot]
    """The snapshot of a partition that a committed account names; raises StateRefused."""
    records: Callable[[Partition, int, int], Iterator[Sequence[Record]]]
    """The input from one offset to before another, piece by piece; empty while waiting."""
    detector: Callable[[str], Detector]
    """A model version; raises ModelRefused."""
    fingerprint: str
    """Of this process."""
    partitions: int
    """How many the input had when this process began."""


def restored(
    partition: Partition, account: Account, champion: Detector, stores: Stores
) -> Generator[None, None, Memory]:
    """Restore the memory that stands at a committed account; every yield is a place to poll.

    Only an account of nothing has a cold memory; any other names a snapshot. Nobody trusts what
    comes out: the input since the snapshot is scored again, and has to give the committed account.
    Raises StateRefused where that cannot be, or is not so.
    """
    if account.snapshot is None:
        if account.consumed:
            refuse(
                f"the account of {partition} at offset {account.next_offset} names no snapshot of "
                "its memory (was it committed by an older sensorwatch?)"
            )
        if partition.number >= stores.partitions:
            refuse(
                f"{partition} is new: the input had {stores.partitions} partitions when this "
                "worker began, and with another number its sensors may have moved"
            )
        return champion.cold(max_sensors=account.max_sensors)
    snapshot = stores.snapshot(partition, account.snapshot)
    yield
    detector = _detector(partition, account, champion, snapshot, stores)
    try:
        memory = memory_of(snapshot.content, detector, max_sensors=account.max_sensors)
    except MemoryRefused as error:
        refuse(f"the snapshot of {partition} at offset {snapshot.next_offset}: {error}")
    yield
    again = snapshot.account
    pieces = stores.records(partition, again.next_offset, account.next_offset)
    for records in _gathered(pieces):
        if records:
            again = scored_on(again, records, detector, memory)
        yield
    _compare(partition, again, account, stores.fingerprint)
    return memory


def _gathered(pieces: Iterator[Sequence[Record]]) -> Iterator[list[Record]]:
    """Put pieces together for as long as they follow each other: many rows at once cost less."""
    records: list[Record] = []
    for piece in pieces:
        records += piece
        if not piece or len(records) >= PIECE_ROWS:
            yield records
            records = []
    yield records


def _detector(
    partition: Partition, account: Account, champion: Detector, snapshot: Snapshot, stores: Stores
) -> Detector:
    wanted = snapshot.model_version
    if not wanted == snapshot.account.model_version == account.model_version:
        refuse(
            f"the snapshot of {partition} is of model version {wanted}, its account at offset "
            f"{account.next_offset} of {account.model_version}"
        )
    if wanted == champion.version:
        return champion
    try:
        return stores.detector(wanted)
    except ModelRefused as error:
        refuse(
            f"the memory of {partition} is of a model version that the registry does not give: "
            f"{error}. Put that version back, if you have it"
        )


def scored_on(
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
    return advance(
        account,
        offsets=offsets,
        kinds=outcome.kinds,
        reasons=outcome.reasons,
        score_bits=outcome.score_bits,
        model_version=detector.version,
    )


def _compare(partition: Partition, again: Account, account: Account, fingerprint: str) -> None:
    """Raise StateRefused unless scoring again led to the committed account.

    Where other code, libraries or another CPU kind scored the records, the last bits may differ and
    the counts alone are compared; a new segment of the digest then begins, with a snapshot.
    """
    differences = [
        f"{name} {getattr(account, name)}, {getattr(again, name)} again"
        for name in COUNTS
        if getattr(account, name) != getattr(again, name)
    ]
    comparable = again.fingerprint == account.fingerprint == fingerprint
    if comparable and again.digest != account.digest:
        differences.append(f"digest {account.digest:016x}, {again.digest:016x} again")
    if differences:
        refuse(
            f"the memory of {partition} cannot be restored: scored again from its snapshot on, the "
            f"input gives another account ({'; '.join(differences)}). Was input deleted that is "
            "newer than the snapshot, or the topic made anew?"
        )
