"""Restores a memory of 100,000 sensors from a snapshot and later records."""

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
from tests.reading_builders import START_TIME

PARTITION = Partition(TOPIC, 0)
SENSOR_COUNT = 100_000
DETECTOR = a_forecast_candidate().detector("default-0001-00000000")


def record_batches(begin: int, end: int) -> Iterator[list[Record]]:
    """Yield the records at offsets `begin` to `end` - 1 in batches of 1,000; sensors alternate."""
    for start in range(begin, end, 1_000):
        yield [a_record(number) for number in range(start, min(start + 1_000, end))]


def a_record(number: int) -> StoredRecord:
    values = [number * factor % 101 / 50 - 1 + 12 * (number % 97 == 0) for factor in (7, 37, 83)]
    time = START_TIME + ROW_INTERVAL * (number // SENSOR_COUNT)
    payload = a_payload(
        values, timestamp=format_instant(time), sensor_id=f"pump-{number % SENSOR_COUNT}"
    )
    return StoredRecord(payload, number, 0, TOPIC, stored_timestamp=(1, SENT_AT_MS + 10_000_000))


def replay_rows(account: Account, memory: Memory, begin: int, end: int) -> Account:
    for batch in record_batches(begin, end):
        account = replay_records(account, batch, DETECTOR, memory)
    return account


@pytest.mark.slow
def test_a_hundred_thousand_sensors_are_restored_bit_for_bit() -> None:
    rows_since_snapshot = 2 * REPLAY_BATCH_ROWS + 7
    memory = DETECTOR.empty_memory(max_sensors=SENSOR_COUNT)
    opened_account = open_account(
        0, model_version=DETECTOR.version, fingerprint="f", max_sensors=SENSOR_COUNT
    )
    account = replay_rows(opened_account, memory, 0, SENSOR_COUNT)
    snapshot_ref = SnapshotRef(1, SENSOR_COUNT)
    snapshot = Snapshot(
        "g", PARTITION, 1, SENSOR_COUNT, DETECTOR.version, account, memory_to_bytes(memory)
    )
    committed_account = replace(
        replay_rows(account, memory, SENSOR_COUNT, SENSOR_COUNT + rows_since_snapshot),
        snapshot=snapshot_ref,
    )
    read_ranges: list[tuple[int, int]] = []

    def read_input(_source: Partition, begin: int, end: int) -> Iterator[Sequence[Record]]:
        read_ranges.append((begin, end))
        return record_batches(begin, end)

    sources = RestoreSources(lambda *_: snapshot, read_input, lambda *_: DETECTOR, "f", 1)
    restore_steps = restore_memory(PARTITION, committed_account, DETECTOR, sources)
    pause_count = 0
    while True:
        try:
            next(restore_steps)
        except StopIteration as end:
            restored_memory: Memory = end.value
            break
        pause_count += 1

    assert memory_to_bytes(restored_memory) == memory_to_bytes(memory)
    assert restored_memory.sensors == SENSOR_COUNT
    assert read_ranges == [(SENSOR_COUNT, SENSOR_COUNT + rows_since_snapshot)], (
        "a replay reads only records after the snapshot"
    )
    assert pause_count >= 2 + rows_since_snapshot // REPLAY_BATCH_ROWS, (
        "without pauses the worker would leave the group"
    )
