"""A batch builder groups records by partition and keeps the order within each partition."""

from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.kafka.records import MAX_TIMESTAMP_MS, Partition
from sensorwatch.common.rows.limits import NO_TIME
from sensorwatch.consumer.micro_batch import BatchBuilder
from tests.consumer.micro_batches import micro_batch_of
from tests.kafka.record_builders import StoredRecord

TOPIC = "sensors"


@given(
    steps=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3)), max_size=40),
    chunk_size=st.integers(1, 9),
)
def test_each_partition_gets_its_records_in_order_with_their_offsets(
    steps: list[tuple[int, int]], chunk_size: int
) -> None:
    """The offsets have gaps, as if transaction markers and aborted records were in between."""
    last_offsets = dict.fromkeys(range(3), 0)
    records: list[StoredRecord] = []
    for number, step in steps:
        last_offsets[number] += step
        records.append(StoredRecord(b"%d" % len(records), last_offsets[number], number))
    builder = BatchBuilder()
    for start in range(0, len(records), chunk_size):
        chunk = records[start : start + chunk_size]
        builder.extend(chunk, [record.timestamp() for record in chunk])

    partition_batches = builder.partition_batches(TOPIC)

    assert [partition_batch.partition for partition_batch in partition_batches] == [
        Partition(TOPIC, number) for number in sorted({number for number, _ in steps})
    ]
    for partition_batch in partition_batches:
        expected_records = [
            record for record in records if record.partition() == partition_batch.partition.number
        ]
        assert partition_batch.records == expected_records
        assert partition_batch.payloads == [record.value() for record in expected_records]
        assert partition_batch.offsets.tolist() == [record.offset() for record in expected_records]


def test_dropping_a_partition_keeps_the_records_of_other_partitions() -> None:
    builder = BatchBuilder()
    records = [StoredRecord(b"a", 1, 0), StoredRecord(b"b", 5, 1), StoredRecord(b"c", 2, 0)]
    builder.extend(records, [record.timestamp() for record in records])

    builder.drop({0, 7})

    (partition_batch,) = builder.partition_batches(TOPIC)
    assert (partition_batch.partition.number, partition_batch.payloads, len(builder)) == (
        1,
        [b"b"],
        1,
    )


def test_extreme_timestamps_are_limited() -> None:
    timestamps = [(1, 5), (0, -1), (2, 2**62), (1, -(2**62))]
    records = [
        StoredRecord(b"", n, stored_timestamp=timestamp) for n, timestamp in enumerate(timestamps)
    ]

    (partition_batch,) = micro_batch_of(records, TOPIC).partition_batches

    limit_us = MAX_TIMESTAMP_MS * 1000
    assert partition_batch.received.tolist() == [5_000, NO_TIME, limit_us, -limit_us]
