"""A snapshot survives its chunks and its manifest, and no damage to either goes unnoticed."""

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
from tests.kafka.snapshot_builders import SOURCE, a_snapshot, read, value_of, written

contents = st.binary(max_size=60)
lengths = st.integers(1, 25)


@given(content=contents, chunk_bytes=lengths)
def test_a_snapshot_survives_its_chunks(content: bytes, chunk_bytes: int) -> None:
    snapshot = a_snapshot(content)

    manifest, stored = written(snapshot, chunk_bytes=chunk_bytes)

    assert read(manifest, stored) == snapshot
    assert len(stored) == chunk_count(snapshot, chunk_bytes=chunk_bytes)
    assert all(0 < len(chunk) <= chunk_bytes for chunk in stored.values())


def test_every_record_goes_to_the_partition_that_it_is_of() -> None:
    snapshot = a_snapshot()
    messages = [*chunk_messages(snapshot, "s", chunk_bytes=3), manifest_message(snapshot, "s", [])]

    assert [(m.topic, m.key, m.partition) for m in messages] == [("s", None, SOURCE.number)] * 5


def test_chunks_and_manifest_fit_into_a_message_by_default() -> None:
    """The manifest too, at as many chunks as 2 GB have."""
    assert CHUNK_BYTES < 1_000_000 * 0.95
    offsets = [2**63 - 1 - number for number in reversed(range(2_500))]

    message = manifest_message(a_snapshot(), "s", offsets)

    assert len(value_of(message)) < 100_000


@given(
    content=st.binary(min_size=1, max_size=60),
    chunk_bytes=lengths,
    where=st.integers(min_value=0),
    bit=st.integers(0, 7),
)
def test_a_flipped_bit_is_noticed(content: bytes, chunk_bytes: int, where: int, bit: int) -> None:
    manifest, stored = written(a_snapshot(content), chunk_bytes=chunk_bytes)
    number, inside = divmod(where % len(content), chunk_bytes)
    damaged = bytearray(stored[100 + number])
    damaged[inside] ^= 1 << bit

    with pytest.raises(StateRefused, match="sha256"):
        read(manifest, stored | {100 + number: bytes(damaged)})


@given(content=st.binary(min_size=1, max_size=60), chunk_bytes=lengths, which=st.integers(0))
def test_a_dropped_chunk_is_noticed(content: bytes, chunk_bytes: int, which: int) -> None:
    manifest, stored = written(a_snapshot(content), chunk_bytes=chunk_bytes)
    chunks = [*stored.values()]
    del chunks[which % len(chunks)]

    with pytest.raises(StateRefused, match=f"{manifest.bytes} in {len(stored)} by its manifest"):
        snapshot_of(manifest, chunks, "here")


@given(
    content=st.binary(min_size=2, max_size=60), chunk_bytes=lengths, where=st.integers(min_value=0)
)
def test_two_swapped_chunks_are_noticed(content: bytes, chunk_bytes: int, where: int) -> None:
    snapshot = a_snapshot(content)
    manifest, stored = written(snapshot, chunk_bytes=chunk_bytes)
    one, other = where % len(stored), where // 7 % len(stored)
    chunks = [*stored.values()]
    chunks[one], chunks[other] = chunks[other], chunks[one]
    if b"".join(chunks) == content:
        assert snapshot_of(manifest, chunks, "here") == snapshot
        return

    with pytest.raises(StateRefused, match="sha256"):
        snapshot_of(manifest, chunks, "here")


@pytest.mark.parametrize("value", [None, b"", b"{", b"chunk", b"[]", b'{"snapshot_version":1}'])
def test_what_is_no_manifest_is_refused_with_its_place_and_the_remedy(value: bytes | None) -> None:
    with pytest.raises(StateRefused, match=r"at g\.state-2-9 is not a snapshot manifest") as caught:
        parse_snapshot_manifest(value, "g.state-2-9")

    assert "`sensorwatch state reset`" in str(caught.value)


def changed(**fields: object) -> bytes:
    message = manifest_message(a_snapshot(), "s", [1, 2])
    return msgspec.json.encode(json.loads(value_of(message)) | fields)


@pytest.mark.parametrize(
    "value",
    [changed(snapshot_version=2), changed(snapshot_version=3, chunks="of another shape")],
)
def test_a_newer_manifest_is_refused_as_such(value: bytes) -> None:
    with pytest.raises(StateRefused, match="newer sensorwatch"):
        parse_snapshot_manifest(value, "here")


@pytest.mark.parametrize(
    "value",
    [
        changed(chunks=[2, 1]),
        changed(chunks=[1, 1]),
        changed(chunks=[-1, 1]),
        changed(bytes=-1),
        changed(snapshot_version=0),
    ],
)
def test_a_manifest_whose_numbers_make_no_sense_is_refused(value: bytes) -> None:
    parse_snapshot_manifest(changed(), "here")

    with pytest.raises(StateRefused, match="damaged"):
        parse_snapshot_manifest(value, "here")


AT = SnapshotRef(offset=9, next_offset=7)


def check_manifest(
    snapshot: Snapshot, *, group: str = "g", source: Partition = SOURCE, partitions: int = 4
) -> None:
    manifest = parse_snapshot_manifest(manifest_message(snapshot, "s", []).value, "here")
    require_matching_manifest(
        manifest, "s-2-9", group=group, source=source, partitions=partitions, at=AT
    )


@pytest.mark.parametrize(
    ("check", "said"),
    [
        (lambda: check_manifest(a_snapshot(), group="h"), "wanted group h"),
        (lambda: check_manifest(a_snapshot(), source=Partition("in", 3)), "partition in-3"),
        (lambda: check_manifest(a_snapshot(), source=Partition("on", 2)), "partition on-2"),
        (lambda: check_manifest(a_snapshot(next_offset=8)), "offset 8; wanted .* offset 7"),
        (lambda: check_manifest(a_snapshot(), partitions=5), "had 4 partitions .* has 5 now"),
    ],
)
def test_the_snapshot_of_something_else_is_refused(check: Callable[[], None], said: str) -> None:
    check_manifest(a_snapshot())

    with pytest.raises(StateRefused, match=said):
        check()


def test_the_account_in_the_manifest_is_the_one_given() -> None:
    manifest, stored = written(replace(a_snapshot(), partitions=9), chunk_bytes=4)

    assert read(manifest, stored).account == a_snapshot().account
    assert manifest.memory_layout == "3 signals"
