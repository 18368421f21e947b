"""Snapshots for tests, and the state topic as a list of its records."""

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

SOURCE = Partition("in", 2)


def a_snapshot(
    content: bytes = b"0123456789", *, source: Partition = SOURCE, next_offset: int = 7
) -> Snapshot:
    """A snapshot of a partition of four, as the consumer makes it."""
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


def written(
    snapshot: Snapshot, *, chunk_bytes: int, first: int = 100
) -> tuple[SnapshotManifest, dict[int, bytes]]:
    """What a reader finds where every record was stored at the next offset from `first` on."""
    chunks = list(chunk_messages(snapshot, "g.state", chunk_bytes=chunk_bytes))
    stored = {first + number: value_of(chunk) for number, chunk in enumerate(chunks)}
    manifest = manifest_message(snapshot, "g.state", [*stored])
    return parse_snapshot_manifest(manifest.value, "here"), stored


def read(manifest: SnapshotManifest, stored: dict[int, bytes]) -> Snapshot:
    """Put a snapshot together from what is stored."""
    return snapshot_of(manifest, [stored[offset] for offset in manifest.chunks], "here")


def value_of(message: OutgoingMessage) -> bytes:
    """The value of a message that has one."""
    assert message.value is not None
    return message.value
