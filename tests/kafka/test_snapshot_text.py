"""A snapshot is read back from its chunks and its manifest, and damage to them is detected."""

import json
from collections.abc import Callable
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.errors import StateRefused
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.snapshot_text import (
    CHUNK_BYTES,
    Snapshot,
    chunk_count,
    chunk_messages,
    manifest_message,
    parse_snapshot_manifest,
    require_matching_manifest,
    snapshot_of,
)
from sensorwatch.common.ledger.account import SnapshotRef
from tests.kafka.snapshot_builders import (
    SOURCE_PARTITION,
    a_snapshot,
    read,
    store_snapshot,
    value_of,
)
from tests.nested_json import DEEPLY_NESTED_JSON

content_strategy = st.binary(max_size=60)
chunk_bytes_strategy = st.integers(1, 25)


@given(content=content_strategy, chunk_bytes=chunk_bytes_strategy)
def test_a_snapshot_is_read_back_from_its_chunks(content: bytes, chunk_bytes: int) -> None:
    snapshot = a_snapshot(content)

    manifest, chunks_by_offset = store_snapshot(snapshot, chunk_bytes=chunk_bytes)

    assert read(manifest, chunks_by_offset) == snapshot
    assert len(chunks_by_offset) == chunk_count(snapshot, chunk_bytes=chunk_bytes)
    assert all(0 < len(chunk) <= chunk_bytes for chunk in chunks_by_offset.values())


def test_every_record_goes_to_the_partition_of_its_snapshot() -> None:
    snapshot = a_snapshot()
    messages = [*chunk_messages(snapshot, "s", chunk_bytes=3), manifest_message(snapshot, "s", [])]

    assert [(message.topic, message.key, message.partition) for message in messages] == [
        ("s", None, SOURCE_PARTITION.number)
    ] * 5


def test_chunks_and_manifest_fit_into_a_message_with_default_limits() -> None:
    """Even the manifest of a 2 GB snapshot, with its 2,500 chunk offsets, fits."""
    assert CHUNK_BYTES < 1_000_000 * 0.95
    offsets = [2**63 - 1 - number for number in reversed(range(2_500))]

    message = manifest_message(a_snapshot(), "s", offsets)

    assert len(value_of(message)) < 100_000


@given(
    content=st.binary(min_size=1, max_size=60),
    chunk_bytes=chunk_bytes_strategy,
    byte_position=st.integers(min_value=0),
    bit=st.integers(0, 7),
)
def test_a_flipped_bit_is_detected(
    content: bytes, chunk_bytes: int, byte_position: int, bit: int
) -> None:
    manifest, chunks_by_offset = store_snapshot(a_snapshot(content), chunk_bytes=chunk_bytes)
    chunk_number, byte_in_chunk = divmod(byte_position % len(content), chunk_bytes)
    damaged_chunk = bytearray(chunks_by_offset[100 + chunk_number])
    damaged_chunk[byte_in_chunk] ^= 1 << bit

    with pytest.raises(StateRefused, match="sha256"):
        read(manifest, chunks_by_offset | {100 + chunk_number: bytes(damaged_chunk)})


@given(
    content=st.binary(min_size=1, max_size=60),
    chunk_bytes=chunk_bytes_strategy,
    chunk_number=st.integers(0),
)
def test_a_missing_chunk_is_detected(content: bytes, chunk_bytes: int, chunk_number: int) -> None:
    manifest, chunks_by_offset = store_snapshot(a_snapshot(content), chunk_bytes=chunk_bytes)
    chunks = [*chunks_by_offset.values()]
    del chunks[chunk_number % len(chunks)]

    with pytest.raises(
        StateRefused, match=f"records {manifest.bytes} bytes in {len(chunks_by_offset)} chunks"
    ):
        snapshot_of(manifest, chunks, "here")


@given(
    content=st.binary(min_size=2, max_size=60),
    chunk_bytes=chunk_bytes_strategy,
    swap_seed=st.integers(min_value=0),
)
def test_two_swapped_chunks_are_detected(content: bytes, chunk_bytes: int, swap_seed: int) -> None:
    snapshot = a_snapshot(content)
    manifest, chunks_by_offset = store_snapshot(snapshot, chunk_bytes=chunk_bytes)
    first_chunk, second_chunk = (
        swap_seed % len(chunks_by_offset),
        swap_seed // 7 % len(chunks_by_offset),
    )
    chunks = [*chunks_by_offset.values()]
    chunks[first_chunk], chunks[second_chunk] = chunks[second_chunk], chunks[first_chunk]
    if b"".join(chunks) == content:
        assert snapshot_of(manifest, chunks, "here") == snapshot
        return

    with pytest.raises(StateRefused, match="sha256"):
        snapshot_of(manifest, chunks, "here")


@pytest.mark.parametrize(
    "value", [None, b"", b"{", b"chunk", b"[]", b'{"snapshot_version":2}', DEEPLY_NESTED_JSON]
)
def test_the_error_for_an_invalid_manifest_names_its_record_and_the_remedy(
    value: bytes | None,
) -> None:
    with pytest.raises(
        StateRefused, match=r"at g\.state-2-9 is not a snapshot manifest"
    ) as error_info:
        parse_snapshot_manifest(value, "g.state-2-9")

    assert "`sensorwatch state reset`" in str(error_info.value)


def manifest_with(**fields: object) -> bytes:
    message = manifest_message(a_snapshot(), "s", [1, 2])
    return msgspec.json.encode(json.loads(value_of(message)) | fields)


@pytest.mark.parametrize(
    "value",
    [
        manifest_with(snapshot_version=3),
        manifest_with(snapshot_version=4, chunks="of another shape"),
    ],
)
def test_the_error_for_a_newer_manifest_says_so(value: bytes) -> None:
    with pytest.raises(StateRefused, match="newer sensorwatch"):
        parse_snapshot_manifest(value, "here")


@pytest.mark.parametrize("chunks", [[1, 2], "of another shape"])
def test_the_error_for_an_older_manifest_says_so_and_names_the_remedy(chunks: object) -> None:
    with pytest.raises(StateRefused, match=r"an older sensorwatch wrote it.*state reset"):
        parse_snapshot_manifest(manifest_with(snapshot_version=1, chunks=chunks), "here")


@pytest.mark.parametrize(
    "value",
    [
        manifest_with(chunks=[2, 1]),
        manifest_with(chunks=[1, 1]),
        manifest_with(chunks=[-1, 1]),
        manifest_with(bytes=-1),
        manifest_with(snapshot_version=0),
    ],
)
def test_a_manifest_with_inconsistent_numbers_is_refused(value: bytes) -> None:
    parse_snapshot_manifest(manifest_with(), "here")

    with pytest.raises(StateRefused, match="damaged"):
        parse_snapshot_manifest(value, "here")


SNAPSHOT_REF = SnapshotRef(offset=9, next_offset=7)


def check_manifest(
    snapshot: Snapshot,
    *,
    group: str = "g",
    source: Partition = SOURCE_PARTITION,
    partitions: int = 4,
) -> None:
    manifest = parse_snapshot_manifest(manifest_message(snapshot, "s", []).value, "here")
    require_matching_manifest(
        manifest, "s-2-9", group=group, source=source, partitions=partitions, at=SNAPSHOT_REF
    )


@pytest.mark.parametrize(
    ("check", "message"),
    [
        (lambda: check_manifest(a_snapshot(), group="h"), "wanted group h"),
        (lambda: check_manifest(a_snapshot(), source=Partition("in", 3)), "partition in-3"),
        (lambda: check_manifest(a_snapshot(), source=Partition("on", 2)), "partition on-2"),
        (lambda: check_manifest(a_snapshot(next_offset=8)), "offset 8; wanted .* offset 7"),
        (lambda: check_manifest(a_snapshot(), partitions=5), "had 4 partitions .* has 5 now"),
    ],
)
def test_the_snapshot_of_another_group_partition_or_offset_is_refused(
    check: Callable[[], None], message: str
) -> None:
    check_manifest(a_snapshot())

    with pytest.raises(StateRefused, match=message):
        check()


def test_the_manifest_contains_account_and_memory_layout() -> None:
    manifest, chunks_by_offset = store_snapshot(replace(a_snapshot(), partitions=9), chunk_bytes=4)

    assert read(manifest, chunks_by_offset).account == a_snapshot().account
    assert manifest.memory_layout == "3 signals"
