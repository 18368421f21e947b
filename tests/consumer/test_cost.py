"""The number of Python calls and objects per valid row, which does not depend on the machine."""

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
ACCESSORS = 4
"""Maximum number of calls into the client per record."""


def calls_of(count: int, *, sensors: int = 5) -> Counter[str]:
    """Collect and score records; return the number of Python and C calls by name."""
    records = [
        StoredRecord(a_payload(sensor_id=f"pump-{number % sensors}"), number)
        for number in range(count)
    ]
    detector = a_detector()
    process(
        [a_payload()] * 9, detector, detector.empty_memory()
    )  # creates what is created only once
    calls: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            calls[frame.f_code.co_name] += 1
        elif event == "c_call":
            calls[getattr(argument, "__name__", "?")] += 1

    sys.setprofile(note)
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
    """The difference of two sizes excludes calls that do not depend on the number of rows."""
    more, fewer = calls_of(2 * ROWS), calls_of(ROWS)
    grown = {name: (more[name] - fewer[name]) / ROWS for name in more}
    accessors = ("value", "partition", "timestamp", "offset")

    assert sum(grown.get(name, 0) for name in accessors) <= ACCESSORS
    assert sum(count for name, count in grown.items() if name not in accessors) < 1.1, grown


def test_a_valid_row_needs_almost_no_heap() -> None:
    """A row is stored in columns, not in objects."""
    more, fewer = (memory_of(count) for count in (2 * ROWS, ROWS))
    blocks, size = (large - small for large, small in zip(more, fewer, strict=True))

    assert blocks / ROWS < 0.5  # Python objects
    assert size / ROWS < 600  # bytes


def memory_of(count: int) -> tuple[int, int]:
    """Return the number of Python objects after `count` rows, and the peak in bytes."""
    records = [StoredRecord(a_payload(), number) for number in range(count)]
    timestamps = [record.timestamp() for record in records]
    detector, memory = a_detector(), a_detector().empty_memory()
    process(
        [a_payload()] * 9, detector, detector.empty_memory()
    )  # creates what is created only once
    gc.collect()
    tracemalloc.start()
    try:
        before = sys.getallocatedblocks()
        builder = BatchBuilder()
        builder.extend(records, timestamps)
        (partition_batch,) = builder.partition_batches("sensors")
        outcome = process(
            partition_batch.payloads, detector, memory, positions=partition_batch.offsets
        )
        blocks = sys.getallocatedblocks() - before
        assert len(outcome.readings) == count
        return blocks, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def test_another_sensor_in_a_micro_batch_costs_little() -> None:
    more, fewer = calls_of(ROWS, sensors=1_000), calls_of(ROWS, sensors=500)

    assert (more.total() - fewer.total()) / 500 < 10
