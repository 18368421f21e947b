"""Builders of snapshots, and functions that store and read them as records of the state topic."""

from dataclasses import replace

from sensorwatch.common.kafka.records import OutgoingMessage, Partition
from sensorwatch.common.kafka.snapshot_text import (
    Snapshot,
    SnapshotManifest,
    chunk_messages,
    manifest_message,
    parse_snapshot_manifest,
    snapshot_of,
)
from sensorwatch.common.ledger.account import SnapshotRef, open_account

SOURCE_PARTITION = Partition("in", 2)


def a_snapshot(
    content: bytes = b"0123456789", *, source: Partition = SOURCE_PARTITION, next_offset: int = 7
) -> Snapshot:
    """Return a snapshot of one of four partitions."""
    return Snapshot(
        group="g",
        source=source,
        partitions=4,
        next_offset=next_offset,
        model_version="default-0001-00000000",
        account=replace(
            open_account(0, model_version="default-0001-00000000", fingerprint="f"),
            next_offset=next_offset,
            snapshot=SnapshotRef(offset=1, next_offset=3),
        ),
        content=content,
        memory_layout="3 signals",
    )


def store_snapshot(
    snapshot: Snapshot, *, chunk_bytes: int, first_offset: int = 100
) -> tuple[SnapshotManifest, dict[int, bytes]]:
    """Return the manifest of a snapshot and its chunks by offset.

    `first_offset`: the offset of the first chunk.
    """
    chunks = list(chunk_messages(snapshot, "g.state", chunk_bytes=chunk_bytes))
    chunks_by_offset = {
        first_offset + chunk_number: value_of(chunk) for chunk_number, chunk in enumerate(chunks)
    }
    manifest = manifest_message(snapshot, "g.state", [*chunks_by_offset])
    return parse_snapshot_manifest(manifest.value, "here"), chunks_by_offset


def read(manifest: SnapshotManifest, chunks_by_offset: dict[int, bytes]) -> Snapshot:
    """Return the snapshot that a manifest and its stored chunks contain."""
    return snapshot_of(manifest, [chunks_by_offset[offset] for offset in manifest.chunks], "here")


def value_of(message: OutgoingMessage) -> bytes:
    """Return the value of a message, which must have one."""
    assert message.value is not None
    return message.value
