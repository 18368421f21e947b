"""A valid row costs few Python calls and few objects, independently of the machine."""

import gc
import sys
import tracemalloc
from collections import Counter
from types import FrameType

from sensorwatch.common.scoring.processing import process
from sensorwatch.consumer.micro_batch import BatchBuilder
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.reading_builders import a_detector

ROWS = 2_000
MAX_CLIENT_CALLS = 4
"""Maximum number of calls into the client per record."""


def calls_of(count: int, *, sensors: int = 5) -> Counter[str]:
    """Collect and score records; return the number of Python and C calls by name."""
    records = [
        StoredRecord(a_payload(sensor_id=f"pump-{number % sensors}"), number)
        for number in range(count)
    ]
    detector = a_detector()
    # The first call also creates objects that later calls use again; do not count them.
    process([a_payload()] * 9, detector, detector.empty_memory())
    calls: Counter[str] = Counter()

    def count_call(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1
        elif event == "c_call":
            calls[getattr(argument, "__name__", "?")] += 1

    sys.setprofile(count_call)
    try:
        builder = BatchBuilder()
        for start in range(0, count, 1_000):
            chunk = records[start : start + 1_000]
            builder.extend(chunk, [record.timestamp() for record in chunk])
        (partition_batch,) = builder.partition_batches("sensors")
        process(
            partition_batch.payloads,
            detector,
            detector.empty_memory(),
            positions=partition_batch.offsets,
            received=partition_batch.received,
        )
    finally:
        sys.setprofile(None)
    return calls


def test_a_valid_row_costs_a_few_calls_into_the_client_and_no_other_calls() -> None:
    """The difference between two batch sizes excludes calls that do not depend on the rows."""
    large_counts, small_counts = calls_of(2 * ROWS), calls_of(ROWS)
    calls_per_row = {
        name: (large_counts[name] - small_counts[name]) / ROWS for name in large_counts
    }
    client_calls = ("value", "partition", "timestamp", "offset")

    assert sum(calls_per_row.get(name, 0) for name in client_calls) <= MAX_CLIENT_CALLS
    assert sum(count for name, count in calls_per_row.items() if name not in client_calls) < 1.1, (
        calls_per_row
    )


def test_a_valid_row_needs_almost_no_heap() -> None:
    """The rows of a micro-batch are stored in columns, not in Python objects."""
    large_allocations, small_allocations = (allocations_of(count) for count in (2 * ROWS, ROWS))
    added_objects, added_bytes = (
        large - small for large, small in zip(large_allocations, small_allocations, strict=True)
    )

    assert added_objects / ROWS < 0.5
    assert added_bytes / ROWS < 600


def allocations_of(count: int) -> tuple[int, int]:
    """Score `count` rows; return the number of new Python objects and the peak memory in bytes."""
    records = [StoredRecord(a_payload(), number) for number in range(count)]
    timestamps = [record.timestamp() for record in records]
    detector, memory = a_detector(), a_detector().empty_memory()
    # The first call also creates objects that later calls use again; do not count them.
    process([a_payload()] * 9, detector, detector.empty_memory())
    gc.collect()
    tracemalloc.start()
    try:
        blocks_before = sys.getallocatedblocks()
        builder = BatchBuilder()
        builder.extend(records, timestamps)
        (partition_batch,) = builder.partition_batches("sensors")
        outcome = process(
            partition_batch.payloads, detector, memory, positions=partition_batch.offsets
        )
        blocks = sys.getallocatedblocks() - blocks_before
        assert len(outcome.readings) == count
        return blocks, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_each_further_sensor_in_a_micro_batch_costs_fewer_than_ten_calls() -> None:
    large_counts, small_counts = calls_of(ROWS, sensors=1_000), calls_of(ROWS, sensors=500)

    assert (large_counts.total() - small_counts.total()) / 500 < 10
