"""Snapshots as records of the state topic: chunks of bytes, and the manifest that names them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from sensorwatch.common.errors import StateRefused
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.ledger.account import Account, SnapshotRef

SNAPSHOT_VERSION = 1
CHUNK_BYTES = 900_000
"""Fits into the 1,000,000 bytes that the client and the broker take by default."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A partition's account and memory at one offset of the input."""

    group: str
    source: Partition
    partitions: int
    """How many the input has: with another number the sensors are elsewhere."""
    next_offset: int
    """The first record that the memory knows nothing of."""
    model_version: str
    """The version that the memory belongs to."""
    account: Account
    content: bytes
    """The memory, opaque here."""
    memory_layout: str = ""
    """What the memory's columns are, for people; the memory's own bytes decide."""


class SnapshotManifest(msgspec.Struct, frozen=True):
    """The record that makes a snapshot: what it is of, and where its chunks are."""

    snapshot_version: int
    group: str
    topic: str
    partition: int
    partitions: int
    next_offset: int
    model_version: str
    memory_layout: str
    chunks: list[int]
    """Their offsets in the state topic, in the partition of the manifest itself."""
    bytes: int
    sha256: str
    account: Account


def chunk_messages(
    snapshot: Snapshot, topic: str, *, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[OutgoingMessage]:
    """Cut a snapshot's memory into messages, in order, for the partition of its source.

    Not compressed here: memories are mostly noise to a compressor (zlib, level 1, 25 MB of
    normally distributed float64: 0.67 s for 4 %; of a table as the memory keeps it: 0.29 s for
    54 %), and the producer compresses what does shrink in a thread of its own.
    """
    for start in range(0, len(snapshot.content), chunk_bytes):
        chunk = snapshot.content[start : start + chunk_bytes]
        yield OutgoingMessage(topic, None, chunk, [], snapshot.source.number)


def chunk_count(snapshot: Snapshot, *, chunk_bytes: int = CHUNK_BYTES) -> int:
    """Return how many messages `chunk_messages` gives."""
    return -(-len(snapshot.content) // chunk_bytes)


def manifest_message(snapshot: Snapshot, topic: str, chunks: Sequence[int]) -> OutgoingMessage:
    """Make the manifest of a snapshot whose chunks stand at these offsets."""
    manifest = SnapshotManifest(
        snapshot_version=SNAPSHOT_VERSION,
        group=snapshot.group,
        topic=snapshot.source.topic,
        partition=snapshot.source.number,
        partitions=snapshot.partitions,
        next_offset=snapshot.next_offset,
        model_version=snapshot.model_version,
        memory_layout=snapshot.memory_layout,
        chunks=list(chunks),
        bytes=len(snapshot.content),
        sha256=hashlib.sha256(snapshot.content).hexdigest(),
        account=snapshot.account,
    )
    text = msgspec.json.encode(manifest)
    return OutgoingMessage(topic, None, text, [], snapshot.source.number)


def parse_snapshot_manifest(value: bytes | None, where: object) -> SnapshotManifest:
    """Read a manifest; `where` it was found is for the message.

    Raises StateRefused where it is none, or of a newer version of this program.
    """
    try:
        # Read first and alone: what else a newer version writes, nobody here can know.
        version = msgspec.json.decode(value or b"", type=_VersionField).snapshot_version
        if version > SNAPSHOT_VERSION:
            raise_state_refused(
                f"the snapshot at {where} is of version {version}, and this program reads up to "
                f"{SNAPSHOT_VERSION}: a newer sensorwatch wrote it. Run that version or a later one"
            )
        manifest = msgspec.json.decode(value or b"", type=SnapshotManifest)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise_state_refused(f"the record at {where} is no snapshot's manifest ({error})")
    rising = all(a < b for a, b in zip(manifest.chunks, manifest.chunks[1:], strict=False))
    if version < 1 or manifest.bytes < 0 or not rising or min(manifest.chunks, default=0) < 0:
        raise_state_refused(f"the manifest at {where} is damaged: its numbers make no sense")
    return manifest


def require_matching_manifest(
    manifest: SnapshotManifest,
    where: object,
    *,
    group: str,
    source: Partition,
    partitions: int,
    at: SnapshotRef,
) -> None:
    """Raise StateRefused where a manifest is not the one that the ledger means by `at`."""
    found = (manifest.group, f"{manifest.topic}-{manifest.partition}", manifest.next_offset)
    wanted = (group, str(source), at.next_offset)
    if found != wanted:
        raise_state_refused(
            "the snapshot at {} is of group {}, partition {}, offset {}".format(where, *found)
            + "; wanted was one of group {}, partition {}, offset {}".format(*wanted)
        )
    if manifest.partitions != partitions:
        raise_state_refused(
            f'the input "{source.topic}" had {manifest.partitions} partitions when the snapshot at '
            f"{where} was made, and has {partitions} now: its sensors may have moved"
        )


def snapshot_of(manifest: SnapshotManifest, chunks: Sequence[bytes], where: object) -> Snapshot:
    """Put a snapshot together again; raises StateRefused where its chunks are not the ones."""
    content = b"".join(chunks)
    if len(content) != manifest.bytes:
        raise_state_refused(
            f"the snapshot at {where} is damaged: {len(content)} bytes in {len(chunks)} chunks, "
            f"{manifest.bytes} in {len(manifest.chunks)} by its manifest"
        )
    digest = hashlib.sha256(content).hexdigest()
    if digest != manifest.sha256:
        raise_state_refused(
            f"the snapshot at {where} is damaged: its sha256 is {digest}, "
            f"{manifest.sha256} by its manifest"
        )
    return Snapshot(
        group=manifest.group,
        source=Partition(manifest.topic, manifest.partition),
        partitions=manifest.partitions,
        next_offset=manifest.next_offset,
        model_version=manifest.model_version,
        account=manifest.account,
        content=content,
        memory_layout=manifest.memory_layout,
    )


def raise_state_refused(found: str) -> NoReturn:
    """Raise StateRefused with what was found, and the remedy."""
    raise StateRefused(
        f"{found}. Nothing was scored or committed. See what `sensorwatch state reset` would lose "
        "(it starts the memory cold where the group stands), and run it to go on without"
    )


class _VersionField(msgspec.Struct, frozen=True):
    snapshot_version: int
