"""A row and an event cost few Python calls and few objects, on every machine."""

import gc
import sys
import tracemalloc
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.runtime.setting_choices import EmittedEvents
from sensorwatch.common.scoring.processing import process
from sensorwatch.consumer.micro_batch import BatchBuilder
from sensorwatch.consumer.publishing.events import anomaly_events
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.reading_builders import ANOMALOUS_VALUES, a_detector

ROW_COUNT = 2_000
MAX_CLIENT_CALLS = 4
"""Maximum number of method calls on a record of the Kafka client."""


def count_calls(count: int, *, sensor_count: int = 5) -> Counter[str]:
    """Collect and score `count` records; return the number of calls of each function."""
    records = [
        StoredRecord(a_payload(sensor_id=f"pump-{number % sensor_count}"), number)
        for number in range(count)
    ]
    detector = a_detector()
    # The first call also creates objects that later calls use again; do not count them.
    process([a_payload()] * 9, detector, detector.empty_memory())
    with counted_calls() as calls:
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
    return calls


@contextmanager
def counted_calls() -> Iterator[Counter[str]]:
    """Count the calls of each function, in Python and in C, until the end of the block."""
    calls: Counter[str] = Counter()

    def count_call(frame: FrameType, event: str, called_function: object) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1
        elif event == "c_call":
            calls[getattr(called_function, "__name__", "?")] += 1

    sys.setprofile(count_call)
    try:
        yield calls
    finally:
        sys.setprofile(None)


def test_a_valid_row_costs_a_few_calls_into_the_client_and_no_other_calls() -> None:
    """Calls that do not depend on the number of rows cancel out between two batch sizes."""
    large_counts, small_counts = count_calls(2 * ROW_COUNT), count_calls(ROW_COUNT)
    calls_per_row = {
        name: (large_counts[name] - small_counts[name]) / ROW_COUNT for name in large_counts
    }
    client_calls = ("value", "partition", "timestamp", "offset")

    assert sum(calls_per_row.get(name, 0) for name in client_calls) <= MAX_CLIENT_CALLS
    assert sum(count for name, count in calls_per_row.items() if name not in client_calls) < 1.1, (
        calls_per_row
    )


def test_a_valid_row_needs_almost_no_heap() -> None:
    """The rows of a micro-batch are stored in columns, not in Python objects."""
    large_allocations, small_allocations = (
        measure_allocations(count) for count in (2 * ROW_COUNT, ROW_COUNT)
    )
    added_objects, added_bytes = (
        large_allocation - small_allocation
        for large_allocation, small_allocation in zip(
            large_allocations, small_allocations, strict=True
        )
    )

    assert added_objects / ROW_COUNT < 0.5
    assert added_bytes / ROW_COUNT < 600


def measure_allocations(count: int) -> tuple[int, int]:
    """Score `count` rows; return the number of new Python objects and the peak memory in bytes."""
    records = [StoredRecord(a_payload(), number) for number in range(count)]
    timestamps = [record.timestamp() for record in records]
    detector, memory = a_detector(), a_detector().empty_memory()
    # The first call also creates objects that later calls use again; do not count them.
    process([a_payload()] * 9, detector, detector.empty_memory())
    gc.collect()
    tracemalloc.start()
    try:
        old_block_count = sys.getallocatedblocks()
        builder = BatchBuilder()
        builder.extend(records, timestamps)
        (partition_batch,) = builder.partition_batches("sensors")
        outcome = process(
            partition_batch.payloads, detector, memory, positions=partition_batch.offsets
        )
        block_count = sys.getallocatedblocks() - old_block_count
        assert len(outcome.readings) == count
        return block_count, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def count_event_calls(rows: int, emit: EmittedEvents) -> Counter[str]:
    """Return the calls of each function while the events of anomalous rows are built."""
    records = [
        StoredRecord(a_payload(ANOMALOUS_VALUES, timestamp=format_instant(n * 1_000_000)), n)
        for n in range(rows)
    ]
    detector = a_detector()
    outcome = process([record.value() for record in records], detector, detector.empty_memory())
    assert outcome.detections.is_anomaly.all()

    def build_events() -> None:
        list(anomaly_events(outcome, detector, records, topic="a", detected_at="now", emit=emit))

    build_events()  # the first call also loads kernels; do not count this
    with counted_calls() as calls:
        build_events()
    return calls


def test_an_event_costs_few_calls() -> None:
    """Only headers and sentences are made one by one; a sentence needs at most 8 calls.

    A step of a generator counts as a call.
    """
    large_counts, small_counts = (
        count_event_calls(rows, EmittedEvents.ROWS) for rows in (2 * ROW_COUNT, ROW_COUNT)
    )

    calls_per_event = {
        name: (large_counts[name] - small_counts[name]) / ROW_COUNT for name in large_counts
    }
    assert sum(calls_per_event.values()) < 17, calls_per_event


def test_with_emit_episodes_a_row_inside_an_episode_costs_no_calls() -> None:
    large_counts, small_counts = (
        count_event_calls(rows, EmittedEvents.EPISODES) for rows in (2 * ROW_COUNT, ROW_COUNT)
    )

    assert large_counts.total() == small_counts.total()


def test_each_further_sensor_in_a_micro_batch_costs_fewer_than_ten_calls() -> None:
    large_counts, small_counts = (
        count_calls(ROW_COUNT, sensor_count=1_000),
        count_calls(ROW_COUNT, sensor_count=500),
    )

    assert (large_counts.total() - small_counts.total()) / 500 < 10
