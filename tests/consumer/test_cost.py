"""What a good row costs in Python: counted in calls, which do not shake with the machine."""

import sys
from collections import Counter
from types import FrameType

from common.detection.processing import process
from consumer.micro_batch import Columns
from tests.builders import a_detector
from tests.messaging.records import StoredRecord, a_payload

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
    process([a_payload()] * 9, detector, detector.cold())  # whatever is made but once
    found: Counter[str] = Counter()

    def note(frame: FrameType, event: str, argument: object) -> None:
        if event == "call":
            found[frame.f_code.co_name] += 1
        elif event == "c_call":
            found[getattr(argument, "__name__", "?")] += 1

    sys.setprofile(note)
    try:
        columns = Columns()
        for start in range(0, count, 1_000):
            some = records[start : start + 1_000]
            columns.extend(some, [record.timestamp() for record in some])
        (portion,) = columns.portions("sensors")
        process(
            portion.payloads,
            detector,
            detector.cold(),
            positions=portion.offsets,
            received=portion.received,
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


def test_another_sensor_in_a_micro_batch_costs_little() -> None:
    more, fewer = calls_of(ROWS, sensors=1_000), calls_of(ROWS, sensors=500)

    assert (more.total() - fewer.total()) / 500 < 10
