"""Records with several rows: events, dead letters, accounts, restores and proofs."""

import json
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from random import Random

import pytest

from sensorwatch.common.kafka.dead_letters import ROWS_HEADER
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from sensorwatch.proof.ledger_intervals import Verdict
from tests.consumer.group_state import consume_twice
from tests.consumer.rig import OLD_VERSION, PARTITION_0, LoopRig, batch_steps, stored_records
from tests.kafka.record_builders import StoredRecord
from tests.proof.consumer_group import LedgerGroup
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, a_detector

RECORDS_PER_PARTITION = 20


@cache
def array_detector(version: str = OLD_VERSION) -> Detector:
    """Return a detector for records with an array of rows and the sensor id as key."""
    detector = a_detector(version)
    plain_schema = detector.schema.to_plain() | {
        "rows": "values[*]",
        "key": {"field": "@key"},
        "unknown_fields": "ignore",
    }
    return replace(detector, schema=schema_from_plain(plain_schema))


def a_row(minute: int, values: Sequence[float] = NORMAL_VALUES) -> dict[str, object]:
    return {
        "timestamp": f"2024-12-31T{minute // 60:02}:{minute % 60:02}:00Z",
        **dict(zip(("x1", "x2", "x3"), values, strict=True)),
    }


def an_array(*rows: object) -> bytes:
    return json.dumps({"values": rows}).encode()


def test_events_dead_letters_and_counts_of_records_with_several_rows() -> None:
    payloads = [
        an_array(a_row(0), a_row(1)),
        an_array(a_row(2), a_row(3, ANOMALOUS_VALUES), {"bad": 1}, a_row(4, ANOMALOUS_VALUES)),
        an_array(a_row(5), {}),
        an_array(),
        b"{",
    ]
    rig = LoopRig(*batch_steps(*payloads), detector=array_detector).with_opened_account()

    rig.run()

    account = rig.accounts.by_partition[PARTITION_0]
    assert account.adds_up
    assert (account.consumed, account.normal, account.anomalies) == (5, 1, 1)
    assert (account.dead_letters, account.absorbed, account.rows) == (2, 1, 6)
    ((messages, _),) = rig.outbox.published_batches
    events = [json.loads(m.value or b"") for m in messages if m.topic == "anomalies"]
    assert [event["event_id"] for event in events] == [
        "sensors-0-1-1",
        "sensors-0-1-3",
        "sensors-0-1-1-closed",
    ]
    assert {event["sensor_id"] for event in events} == {"pump-7"}
    assert [event["episode"]["id"] for event in events[:2]] == ["sensors-0-1-1"] * 2
    assert events[2]["episode_id"] == "sensors-0-1-1"
    assert {event["source"]["offset"] for event in events[:2]} == {1}
    letters = [message for message in messages if message.topic == "sensors.dlq"]
    assert [letter.value for letter in letters] == [payloads[1], payloads[2], payloads[4]]
    assert [dict(letter.headers).get(ROWS_HEADER) for letter in letters] == [b"2", b"1", None]
    assert rig.metric("rows_scored_total") == 6
    assert rig.metric("records_absorbed_total", reason="no_rows") == 1


def partition_records(partition: int) -> list[StoredRecord]:
    rng = Random(partition)
    payloads, minute = [], 0
    for number in range(RECORDS_PER_PARTITION):
        rows: list[object] = []
        for _ in range(rng.randint(0, 5)):
            is_anomalous = rng.random() < 0.3
            rows.append(a_row(minute, ANOMALOUS_VALUES if is_anomalous else NORMAL_VALUES))
            minute += 1
        if number % 6 == 5:
            rows.append({"bad": 1})
        payloads.append(b"{" if number % 9 == 8 else an_array(*rows))
    return [StoredRecord(payload, offset, partition) for offset, payload in enumerate(payloads)]


@pytest.mark.parametrize("seed", range(6))
def test_crashes_and_rebalances_change_no_account_and_no_message(seed: int) -> None:
    for account in consume_twice(partition_records, Random(seed), detector=array_detector):
        assert account.rows > account.consumed


def test_the_ledger_of_records_with_several_rows_is_proven() -> None:
    group = LedgerGroup({OLD_VERSION: array_detector()})
    group.consume(partition_records(0)[:11])
    group.write_snapshot()
    group.consume(partition_records(0)[11:])
    group.write_snapshot()

    assert [finding.verdict for finding in group.verify()] == [Verdict.PROVEN] * 2
    assert memory_to_bytes(group.memory) == list(group.snapshots.values())[-1].content


def test_the_place_of_a_row_in_its_record_is_part_of_the_digest() -> None:
    row, bad_row = a_row(0), {"bad": 1}
    groups = [LedgerGroup({OLD_VERSION: array_detector()}) for _ in range(2)]
    for group, rows in zip(groups, ([row, bad_row], [bad_row, row]), strict=True):
        group.consume(stored_records(an_array(*rows)))

    assert groups[0].account.rows == groups[1].account.rows == 1
    assert groups[0].account.digest != groups[1].account.digest
