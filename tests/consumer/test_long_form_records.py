"""Records in long form: open rows survive crashes, rebalances and model swaps."""

import json
from dataclasses import replace
from functools import cache
from random import Random

import pytest

from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.common.scoring.processing import OutcomeKind, process
from sensorwatch.proof.ledger_intervals import Verdict
from tests.consumer.group_state import consume_twice
from tests.consumer.rig import OLD_VERSION
from tests.kafka.record_builders import StoredRecord
from tests.proof.consumer_group import LedgerGroup
from tests.reading_builders import a_detector

SIGNALS = ("x1", "x2", "x3")


@cache
def long_form_detector(version: str = OLD_VERSION) -> Detector:
    detector = a_detector(version)
    plain_schema = detector.schema.to_plain() | {
        "long_form": {"name": "metric", "value": "v", "bucket_seconds": 60, "grace_seconds": 5},
    }
    return replace(detector, schema=schema_from_plain(plain_schema))


def a_value(minute: int, second: int, sensor: str, metric: str, number: object) -> bytes:
    time = f"2024-12-31T{minute // 60:02}:{minute % 60:02}:{second:02}Z"
    return json.dumps(
        {"timestamp": time, "sensor_id": sensor, "metric": metric, "v": number}
    ).encode()


def partition_records(partition: int) -> list[StoredRecord]:
    """Return the values of 15 minutes of three sensors; some are late, anomalous or missing."""
    rng, payloads = Random(partition), list[bytes]()
    for minute in range(15):
        for sensor in ("a", "b", "c"):
            shift = 8.0 if rng.random() < 0.2 else 0.0
            for metric in SIGNALS:
                if rng.random() < 0.9:
                    second = rng.randint(0, 59)
                    payloads.append(a_value(minute, second, sensor, metric, shift + rng.random()))
                if rng.random() < 0.05:
                    payloads.append(a_value(max(minute - 2, 0), 0, sensor, metric, 0.0))
        payloads.append(a_value(minute, 0, "a", "x1", "broken"))
    return [StoredRecord(payload, offset, partition) for offset, payload in enumerate(payloads)]


@pytest.mark.parametrize("seed", range(6))
def test_crashes_and_rebalances_change_no_account_and_no_message(seed: int) -> None:
    for account in consume_twice(partition_records, Random(seed), detector=long_form_detector):
        assert 30 < account.rows < account.absorbed
        assert account.anomalies
        assert account.dead_letters > 15


def test_the_ledger_is_proven_from_a_snapshot_with_open_rows() -> None:
    group = LedgerGroup({OLD_VERSION: long_form_detector()})
    records = partition_records(0)
    group.consume(records[:50])
    assert len(group.memory.open_rows) > 0
    group.write_snapshot()
    group.consume(records[50:])
    group.write_snapshot()

    assert [finding.verdict for finding in group.verify()] == [Verdict.PROVEN] * 2


def test_open_rows_are_stored_and_undone_with_the_memory() -> None:
    detector = long_form_detector()
    memory = detector.empty_memory()
    process([a_value(0, 0, "a", "x1", 1.5)], detector, memory)
    content = memory_to_bytes(memory)

    memory.begin()
    process([a_value(0, 1, "a", "x2", 2), a_value(5, 0, "b", "x1", 1)], detector, memory)
    memory.undo()

    assert memory_to_bytes(memory) == content
    restored_memory = memory_from_bytes(content, detector)
    assert restored_memory.open_rows.rows == memory.open_rows.rows
    assert memory_to_bytes(restored_memory) == content


def test_a_record_that_closes_rows_of_several_sensors_has_one_outcome() -> None:
    detector = long_form_detector()
    values = [
        a_value(0, 0, sensor, metric, 9.0 if sensor == "b" else 0.0)
        for sensor in ("a", "b")
        for metric in SIGNALS
    ]

    outcome = process([*values, a_value(2, 0, "a", "x1", 0)], detector, detector.empty_memory())

    assert outcome.kinds.tolist() == [OutcomeKind.ABSORBED] * 6 + [OutcomeKind.ANOMALY]
    assert outcome.detections.is_anomaly.tolist() == [False, True]


def test_a_version_without_buckets_keeps_the_open_rows_for_a_rollback() -> None:
    detector, plain_detector = long_form_detector(), a_detector("other")
    memory = detector.empty_memory()
    process([a_value(0, 0, "a", "x1", 1.5)], detector, memory)

    memory.adopt(plain_detector)
    process([b"{}"], plain_detector, memory)
    memory.adopt(detector)
    outcome = process([a_value(2, 0, "a", "x1", 1.5)], detector, memory)

    assert outcome.rows == 1
