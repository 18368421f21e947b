"""Record format of snapshots: chunks of bytes, and a manifest that lists them."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NoReturn

import msgspec

from sensorwatch.common.errors import StateRefused
from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.ledger.account import Account, SnapshotRef

SNAPSHOT_VERSION = 2
CHUNK_BYTES = 900_000
"""Largest size of a chunk. The size is below 1,000,000 bytes, the default message limit of client
and broker."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A partition's account and memory at one offset of the input."""

    group: str
    source: Partition
    partitions: int
    """Number of input partitions. If this number changes, sensors move to other partitions."""
    next_offset: int
    """Offset of the first input record that the memory does not include."""
    model_version: str
    """Id of the model version that the memory belongs to."""
    account: Account
    content: bytes
    """The memory's bytes, which this module does not interpret."""
    memory_layout: str = ""
    """The memory's columns, only as information for people; programs read the header in
    `content`."""


class SnapshotManifest(msgspec.Struct, frozen=True):
    """The record that completes a snapshot, with its origin and the offsets of its chunks."""

    snapshot_version: int
    group: str
    topic: str
    partition: int
    partitions: int
    next_offset: int
    model_version: str
    memory_layout: str
    chunks: list[int]
    """Offsets of the chunks, which are in the same partition of the state topic as the manifest."""
    bytes: int
    sha256: str
    account: Account


def chunk_messages(
    snapshot: Snapshot, topic: str, *, chunk_bytes: int = CHUNK_BYTES
) -> Iterator[OutgoingMessage]:
    """Yield the chunk messages of a snapshot, in order.

    Each message goes to the partition of the state topic that has the number of the input
    partition. The bytes are not compressed here, because memories compress poorly: zlib at level 1
    took 0.67 s to save 4 % of 25 MB of normally distributed float64, and 0.29 s to save 54 % of a
    memory table. The producer compresses messages anyway, in its own thread.
    """
    for start in range(0, len(snapshot.content), chunk_bytes):
        chunk = snapshot.content[start : start + chunk_bytes]
        yield OutgoingMessage(topic, None, chunk, [], snapshot.source.number)


def chunk_count(snapshot: Snapshot, *, chunk_bytes: int = CHUNK_BYTES) -> int:
    """Return the number of messages that `chunk_messages` yields."""
    return -(-len(snapshot.content) // chunk_bytes)


def manifest_message(snapshot: Snapshot, topic: str, chunks: Sequence[int]) -> OutgoingMessage:
    """Return the manifest message of a snapshot; `chunks` are the offsets of its chunks."""
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


def parse_snapshot_manifest(value: bytes | None, position: object) -> SnapshotManifest:
    """Return a parsed manifest; error messages contain its `position`.

    Raises StateRefused if the value is not a manifest, or if a newer or older program wrote it.
    """
    try:
        # Read only the version first, because a newer version may have other fields.
        version = msgspec.json.decode(value or b"", type=_VersionField).snapshot_version
        if version > SNAPSHOT_VERSION:
            raise_state_refused(
                f"the snapshot at {position} has version {version}, but this program reads "
                f"versions up to {SNAPSHOT_VERSION}: run the newer sensorwatch that wrote it"
            )
        if 0 < version < SNAPSHOT_VERSION:
            raise_state_refused(
                f"the snapshot at {position} has version {version}, but this program reads only "
                f"version {SNAPSHOT_VERSION}: an older sensorwatch wrote it"
            )
        manifest = msgspec.json.decode(value or b"", type=SnapshotManifest)
    except (ValueError, RecursionError) as error:
        raise_state_refused(f"the record at {position} is not a snapshot manifest ({error})")
    are_offsets_rising = all(
        a < b for a, b in zip(manifest.chunks, manifest.chunks[1:], strict=False)
    )
    if (
        version < 1
        or manifest.bytes < 0
        or not are_offsets_rising
        or min(manifest.chunks, default=0) < 0
    ):
        raise_state_refused(f"the manifest at {position} is damaged: its numbers are impossible")
    return manifest


def require_matching_manifest(
    manifest: SnapshotManifest,
    position: object,
    *,
    group: str,
    source: Partition,
    partitions: int,
    at: SnapshotRef,
) -> None:
    """Raise StateRefused unless the manifest belongs to `at`, the snapshot in the account."""
    actual_origin = (manifest.group, f"{manifest.topic}-{manifest.partition}", manifest.next_offset)
    wanted_origin = (group, str(source), at.next_offset)
    if actual_origin != wanted_origin:
        raise_state_refused(
            "the snapshot at {} is of group {}, partition {}, offset {}".format(
                position, *actual_origin
            )
            + "; wanted group {}, partition {}, offset {}".format(*wanted_origin)
        )
    if manifest.partitions != partitions:
        raise_state_refused(
            f'the input "{source.topic}" had {manifest.partitions} partitions when the snapshot at '
            f"{position} was made, and has {partitions} now: its sensors may have moved"
        )


def snapshot_of(manifest: SnapshotManifest, chunks: Sequence[bytes], position: object) -> Snapshot:
    """Return the snapshot that a manifest and its chunks form.

    Raises StateRefused if the chunks do not match the manifest.
    """
    content = b"".join(chunks)
    if len(content) != manifest.bytes:
        raise_state_refused(
            f"the snapshot at {position} is damaged: found {len(content)} bytes in {len(chunks)} "
            f"chunks, but its manifest records {manifest.bytes} bytes in {len(manifest.chunks)} "
            "chunks"
        )
    digest = hashlib.sha256(content).hexdigest()
    if digest != manifest.sha256:
        raise_state_refused(
            f"the snapshot at {position} is damaged: its sha256 is {digest}, but its manifest "
            f"records {manifest.sha256}"
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


def raise_state_refused(problem: str) -> NoReturn:
    """Raise StateRefused with the problem and the remedy."""
    raise StateRefused(
        f"{problem}. Nothing was scored or committed. `sensorwatch state reset` shows what a reset "
        "would lose. With --yes it starts a cold memory at the group's committed offset"
    )


class _VersionField(msgspec.Struct, frozen=True):
    snapshot_version: int
