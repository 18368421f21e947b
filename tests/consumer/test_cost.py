"""What a good row costs in Python: calls and objects, which do not shake with the machine."""

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
"""Calls into the client that a record may cost at the most."""


def calls_of(count: int, *, sensors: int = 5) -> Counter[str]:
    """Take records in, and score them; return the calls by name, Python's and C's."""
    records = [
        StoredRecord(a_payload(sensor_id=f"pump-{number % sensors}"), number)
        for number in range(count)
    ]
    detector = a_detector()
    process([a_payload()] * 9, detector, detector.empty_memory())  # whatever is made but once
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            found[frame.f_code.co_name] += 1
        elif event == "c_call":
            found[getattr(argument, "__name__", "?")] += 1

    sys.setprofile(note)
    try:
        builder = BatchBuilder()
        for start in range(0, count, 1_000):
            some = records[start : start + 1_000]
            builder.extend(some, [record.timestamp() for record in some])
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
    return found


def test_a_good_row_costs_a_few_calls_into_the_client_and_nothing_else() -> None:
    """What does not grow with the rows is left out by comparing two sizes."""
    more, fewer = calls_of(2 * ROWS), calls_of(ROWS)
    grown = {name: (more[name] - fewer[name]) / ROWS for name in more}
    asked = ("value", "partition", "timestamp", "offset")

    assert sum(grown.get(name, 0) for name in asked) <= ACCESSORS
    assert sum(share for name, share in grown.items() if name not in asked) < 1.1, grown


def test_a_good_row_leaves_next_to_nothing_on_the_heap() -> None:
    """Columns, not objects: what a row leaves behind while its micro-batch is worked on."""
    more, fewer = (memory_of(count) for count in (2 * ROWS, ROWS))
    blocks, size = (large - small for large, small in zip(more, fewer, strict=True))

    assert blocks / ROWS < 0.5  # objects of Python's
    assert size / ROWS < 600  # bytes: texts joined, readings, scores and lists, in arrays


def memory_of(count: int) -> tuple[int, int]:
    """Return the Python objects that are there after so many rows, and the most bytes till then."""
    records = [StoredRecord(a_payload(), number) for number in range(count)]
    timestamps = [record.timestamp() for record in records]
    detector, memory = a_detector(), a_detector().empty_memory()
    process([a_payload()] * 9, detector, detector.empty_memory())  # whatever is made but once
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
