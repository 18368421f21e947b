"""A memory of 100,000 sensors is restored completely."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from sensorwatch.common.kafka.records import Partition, Record
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import Account, SnapshotRef, open_account
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from sensorwatch.consumer.restoration import (
    REPLAY_BATCH_ROWS,
    RestoreSources,
    replay_records,
    restore_memory,
)
from tests.consumer.fakes import TOPIC
from tests.forecasts import ROW_INTERVAL, a_forecast_candidate
from tests.kafka.record_builders import SENT_AT_MS, StoredRecord, a_payload
from tests.reading_builders import START

PARTITION = Partition(TOPIC, 0)
SENSORS = 100_000
DETECTOR = a_forecast_candidate().detector("default-0001-00000000")


def record_batches(begin: int, end: int) -> Iterator[list[Record]]:
    """Yield records of the sensors in turn, in batches of 1,000."""
    for start in range(begin, end, 1_000):
        yield [a_record(number) for number in range(start, min(start + 1_000, end))]


def a_record(number: int) -> StoredRecord:
    values = [number * step % 101 / 50 - 1 + 12 * (number % 97 == 0) for step in (7, 37, 83)]
    time = START + ROW_INTERVAL * (number // SENSORS)
    payload = a_payload(
        values, timestamp=format_instant(time), sensor_id=f"pump-{number % SENSORS}"
    )
    return StoredRecord(payload, number, 0, TOPIC, stored_timestamp=(1, SENT_AT_MS + 10_000_000))


def replay(account: Account, memory: Memory, begin: int, end: int) -> Account:
    for batch in record_batches(begin, end):
        account = replay_records(account, batch, DETECTOR, memory)
    return account


@pytest.mark.slow
def test_a_hundred_thousand_sensors_are_restored_bit_for_bit() -> None:
    rows_since_snapshot = 2 * REPLAY_BATCH_ROWS + 7
    memory = DETECTOR.empty_memory(max_sensors=SENSORS)
    opened_account = open_account(
        0, model_version=DETECTOR.version, fingerprint="f", max_sensors=SENSORS
    )
    account = replay(opened_account, memory, 0, SENSORS)
    snapshot_ref = SnapshotRef(1, SENSORS)
    snapshot = Snapshot(
        "g", PARTITION, 1, SENSORS, DETECTOR.version, account, memory_to_bytes(memory)
    )
    committed_account = replace(
        replay(account, memory, SENSORS, SENSORS + rows_since_snapshot), snapshot=snapshot_ref
    )
    read_ranges: list[tuple[int, int]] = []

    def read_input(_source: Partition, begin: int, end: int) -> Iterator[Sequence[Record]]:
        read_ranges.append((begin, end))
        return record_batches(begin, end)

    sources = RestoreSources(lambda *_: snapshot, read_input, lambda _: DETECTOR, "f", 1)
    steps = restore_memory(PARTITION, committed_account, DETECTOR, sources)
    pauses = 0
    while True:
        try:
            next(steps)
        except StopIteration as end:
            restored: Memory = end.value
            break
        pauses += 1

    assert memory_to_bytes(restored) == memory_to_bytes(memory)
    assert restored.sensors == SENSORS
    assert read_ranges == [(SENSORS, SENSORS + rows_since_snapshot)], (
        "a replay reads only records after the snapshot"
    )
    assert pauses >= 2 + rows_since_snapshot // REPLAY_BATCH_ROWS, (
        "without pauses the worker would leave the group"
    )
