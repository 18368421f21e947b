"""Tests of the replay proof, in which each interval begins with the memory of the one before."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from msgspec import structs

from sensorwatch.common.ledger.account import SnapshotRef
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.silence_rule import SilenceRule
from sensorwatch.proof.ledger_intervals import Verdict
from tests.forecasts import MIN_ROWS, ROW_INTERVAL, a_forecast_candidate
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.proof.consumer_group import OTHER_FINGERPRINT, OWN_FINGERPRINT, LedgerGroup
from tests.reading_builders import START_TIME

FIRST_VERSION, SECOND_VERSION = "first", "second"
VERDICT_PROVEN = Verdict.PROVEN
VERDICT_DIFFERENT = Verdict.DIFFERENT
VERDICT_NOT_RETAINED = Verdict.NOT_RETAINED
VERDICT_COUNTS_ONLY = Verdict.COUNTS_ONLY
INPUT_SENSORS = 4
"""The number of sensors in the input; two of them are new to the models and warm up."""
INPUT_ROWS = 5 * MIN_ROWS * INPUT_SENSORS


@cache
def detectors_by_version() -> dict[str, Detector]:
    return {
        FIRST_VERSION: a_forecast_candidate(seed=7).detector(FIRST_VERSION),
        SECOND_VERSION: a_forecast_candidate(seed=8).detector(SECOND_VERSION),
    }


@cache
def input_records() -> list[StoredRecord]:
    """Return input records of the sensors 06 to 09 in turn; every second offset is unused.

    Some sensors have faults that last several rows.
    """
    random = np.random.default_rng(3)
    records = []
    for row_number in range(INPUT_ROWS):
        sensor, row_of_sensor = row_number % INPUT_SENSORS, row_number // INPUT_SENSORS
        values = random.normal(size=3) + 12.0 * (row_of_sensor % 17 in (11, 12, 13) and sensor % 2)
        time = format_instant(
            START_TIME - ROW_INTERVAL * (INPUT_ROWS // INPUT_SENSORS - row_of_sensor)
        )
        payload = a_payload(values.tolist(), timestamp=time, sensor_id=f"sensor-{6 + sensor:02d}")
        records.append(StoredRecord(payload, 2 * row_number))
    return records


def new_group(fingerprint: str = OWN_FINGERPRINT) -> LedgerGroup:
    return LedgerGroup(detectors_by_version(), fingerprint=fingerprint)


def group_with_snapshots(fingerprint: str = OWN_FINGERPRINT) -> LedgerGroup:
    """Return a group that scored the input in five parts, with a snapshot after four of them."""
    group, part_rows = new_group(fingerprint), INPUT_ROWS // 5
    for part_number in range(4):
        group.consume(input_records()[part_number * part_rows : (part_number + 1) * part_rows])
        group.write_snapshot()
    group.consume(input_records()[4 * part_rows :])
    return group


def verdicts(group: LedgerGroup, *, first_retained: int = 0) -> list[Verdict]:
    return [finding.verdict for finding in group.verify(first_retained=first_retained)]


def test_the_proof_uses_one_memory_for_all_intervals_and_compares_every_snapshot() -> None:
    group = group_with_snapshots()

    assert verdicts(group) == [VERDICT_PROVEN] * 5
    assert group.read_snapshots == list(group.snapshots)
    assert group.account.anomalies > 0


def test_a_wrong_snapshot_is_detected_even_if_every_score_is_right() -> None:
    group = group_with_snapshots()
    snapshot_ref = list(group.snapshots)[1]
    snapshot_content = bytearray(group.snapshots[snapshot_ref].content)
    snapshot_content[-1] ^= 1
    group.snapshots[snapshot_ref] = replace(
        group.snapshots[snapshot_ref], content=bytes(snapshot_content)
    )

    findings = group.verify()

    assert [finding.verdict for finding in findings[:2]] == [VERDICT_PROVEN, VERDICT_DIFFERENT]
    assert f"the snapshot at offset {snapshot_ref.next_offset} differs" in findings[1].detail


def test_the_interval_after_a_wrong_interval_is_verified_from_its_snapshot() -> None:
    group = group_with_snapshots()
    wrong_row = INPUT_ROWS // 5 + 3
    group.input[wrong_row] = StoredRecord(b"{", group.input[wrong_row].stored_offset)

    assert verdicts(group) == [
        VERDICT_PROVEN,
        VERDICT_DIFFERENT,
        VERDICT_PROVEN,
        VERDICT_PROVEN,
        VERDICT_PROVEN,
    ]


def test_after_deleted_input_the_proof_begins_at_the_next_snapshot() -> None:
    group = group_with_snapshots()
    second_snapshot = list(group.snapshots)[1]

    results = verdicts(group, first_retained=second_snapshot.next_offset)

    assert results == [
        VERDICT_NOT_RETAINED,
        VERDICT_NOT_RETAINED,
        VERDICT_PROVEN,
        VERDICT_PROVEN,
        VERDICT_PROVEN,
    ]


def test_intervals_before_the_oldest_snapshot_cannot_be_verified() -> None:
    group = group_with_snapshots()
    for snapshot_ref in list(group.snapshots)[:3]:
        del group.snapshots[snapshot_ref]

    findings = group.verify(first_retained=1)

    assert [finding.verdict for finding in findings] == [VERDICT_NOT_RETAINED] * 4 + [
        VERDICT_PROVEN
    ]
    assert "the memory at offset" in findings[1].detail


def test_snapshots_are_not_needed_while_all_input_is_retained() -> None:
    group = group_with_snapshots()
    group.snapshots.clear()

    assert verdicts(group) == [VERDICT_PROVEN] * 5


@pytest.mark.parametrize(
    "versions",
    [
        [SECOND_VERSION],
        [SECOND_VERSION, FIRST_VERSION],
        [SECOND_VERSION, FIRST_VERSION, SECOND_VERSION],
    ],
    ids="-".join,
)
def test_every_new_version_adopts_the_memory_even_if_it_scored_no_record(
    versions: list[str],
) -> None:
    group = new_group()
    group.consume(input_records()[: INPUT_ROWS // 2])
    for version in versions:
        group.change_version(version)
    group.consume(input_records()[INPUT_ROWS // 2 :])
    group.write_snapshot()

    assert verdicts(group) == [VERDICT_PROVEN, VERDICT_PROVEN]


def test_the_proof_uses_the_snapshot_after_an_unused_version_that_is_missing() -> None:
    group = new_group()
    group.consume(input_records()[: INPUT_ROWS // 2])
    group.change_version(SECOND_VERSION)
    group.change_version(FIRST_VERSION)
    group.consume(input_records()[INPUT_ROWS // 2 :])
    del group.detectors[SECOND_VERSION]

    assert verdicts(group) == [VERDICT_PROVEN, VERDICT_PROVEN]
    assert group.read_snapshots[-1] == list(group.snapshots)[-1]
    group.snapshots.clear()
    assert verdicts(group) == [VERDICT_PROVEN, VERDICT_NOT_RETAINED]


def test_after_a_missing_version_the_proof_begins_at_the_snapshot_of_the_change() -> None:
    group = new_group()
    group.consume(input_records()[: INPUT_ROWS // 2])
    group.change_version(SECOND_VERSION)
    group.consume(input_records()[INPUT_ROWS // 2 :])
    del group.detectors[FIRST_VERSION]

    assert verdicts(group) == [Verdict.NO_MODEL, VERDICT_PROVEN]


def test_a_changed_max_sensors_applies_from_its_ledger_record_on() -> None:
    group = LedgerGroup(detectors_by_version(), max_sensors=3)
    group.consume(input_records()[: INPUT_ROWS // 3])
    group.set_max_sensors(INPUT_SENSORS)
    group.consume(input_records()[INPUT_ROWS // 3 : INPUT_ROWS // 2])
    group.set_max_sensors(2)
    group.write_snapshot()
    group.consume(input_records()[INPUT_ROWS // 2 :])
    group.write_snapshot()

    assert group.memory.evicted > 0
    assert verdicts(group) == [VERDICT_PROVEN] * 3


def test_silences_are_proven_with_the_rule_of_their_interval() -> None:
    """In the middle third of the input, sensor-06 sends no rows."""
    third = INPUT_ROWS // 3
    records = input_records()
    silent_third = [record for record in records[third : 2 * third] if not is_of_sensor_06(record)]
    group, group_without_rule = new_group(), new_group()
    group.set_silence_rule(SilenceRule(check_seconds=60))

    for part in (records[:third], silent_third, records[2 * third :]):
        group.consume(part)
        group_without_rule.consume(part)
        group.write_snapshot()
    group.set_silence_rule(SilenceRule(check_seconds=60, after_seconds=1.0))
    group.write_snapshot()

    assert group.account.digest != group_without_rule.account.digest
    assert verdicts(group) == [VERDICT_PROVEN] * 3


def is_of_sensor_06(record: StoredRecord) -> bool:
    return b'"sensor-06"' in (record.value() or b"")


def test_a_new_segment_begins_with_the_memory_in_its_snapshot() -> None:
    """Other code computed the snapshot, so its floats may differ in the last bits."""
    group = new_group(OTHER_FINGERPRINT)
    group.consume(input_records()[: INPUT_ROWS // 2])
    group.memory.floats[0, 0] += 1e-9
    group.change_fingerprint(OWN_FINGERPRINT)
    group.consume(input_records()[INPUT_ROWS // 2 :])
    group.write_snapshot()

    assert verdicts(group) == [VERDICT_PROVEN, VERDICT_PROVEN]
    group.snapshots.clear()
    assert verdicts(group) == [VERDICT_PROVEN, VERDICT_NOT_RETAINED]


def test_intervals_with_another_fingerprint_are_compared_by_counts() -> None:
    group = group_with_snapshots(OTHER_FINGERPRINT)
    group.account = replace(group.account, digest=1)
    changed_records = [
        structs.replace(record, account=replace(record.account, digest=1))
        for record in group.ledger
    ]
    group.ledger[1:] = changed_records[1:]

    assert verdicts(group) == [VERDICT_COUNTS_ONLY] * 5
    assert group.read_snapshots == list(group.snapshots)
    group.snapshots.clear()
    assert verdicts(group) == [VERDICT_COUNTS_ONLY] * 5


def test_a_snapshot_of_another_offset_is_not_compared() -> None:
    group = new_group()
    group.consume(input_records()[: INPUT_ROWS // 2])
    group.write_snapshot()
    group.consume(input_records()[INPUT_ROWS // 2 :])
    group.account = replace(group.account, snapshot=SnapshotRef(0, INPUT_ROWS))

    assert verdicts(group) == [VERDICT_PROVEN, VERDICT_PROVEN]
