"""Tests of the replay proof with a memory that is carried from interval to interval."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from msgspec import structs

from sensorwatch.common.ledger.account import SnapshotRef
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.proof.ledger_intervals import Verdict
from tests.forecasts import MIN_ROWS, STEP, a_forecast_candidate
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.proof.consumer_group import OTHER_FINGERPRINT, OWN_FINGERPRINT, LedgerGroup
from tests.reading_builders import START

FIRST, SECOND = "first", "second"
PROVEN, DIFFERENT, NOT_RETAINED = Verdict.PROVEN, Verdict.DIFFERENT, Verdict.NOT_RETAINED
COUNTS_ONLY = Verdict.COUNTS_ONLY
SENSORS = 4
"""Two of them are unknown to the models, and warm up."""
REPLAY_CHUNK_ROWS = 5 * MIN_ROWS * SENSORS


@cache
def detectors() -> dict[str, Detector]:
    return {
        FIRST: a_forecast_candidate(seed=7).detector(FIRST),
        SECOND: a_forecast_candidate(seed=8).detector(SECOND),
    }


@cache
def an_input() -> list[StoredRecord]:
    """Rows of the sensors 06 to 09 in turn, with lasting faults, at every second offset."""
    random = np.random.default_rng(3)
    records = []
    for number in range(REPLAY_CHUNK_ROWS):
        sensor, turn = number % SENSORS, number // SENSORS
        values = random.normal(size=3) + 12.0 * (turn % 17 in (11, 12, 13) and sensor % 2)
        time = format_instant(START - STEP * (REPLAY_CHUNK_ROWS // SENSORS - turn))
        payload = a_payload(values.tolist(), timestamp=time, sensor_id=f"sensor-{6 + sensor:02d}")
        records.append(StoredRecord(payload, 2 * number))
    return records


def a_group(fingerprint: str = OWN_FINGERPRINT) -> LedgerGroup:
    return LedgerGroup(detectors(), fingerprint=fingerprint)


def a_long_group(fingerprint: str = OWN_FINGERPRINT) -> LedgerGroup:
    """A group with a ledger record after each of four fifths of the input, none after the last."""
    group, fifth = a_group(fingerprint), REPLAY_CHUNK_ROWS // 5
    for number in range(4):
        group.consume(an_input()[number * fifth : (number + 1) * fifth])
        group.write_snapshot()
    group.consume(an_input()[4 * fifth :])
    return group


def verdicts(group: LedgerGroup, *, first_retained: int = 0) -> list[Verdict]:
    return [finding.verdict for finding in group.verify(first_retained=first_retained)]


def test_one_memory_is_carried_through_all_intervals_and_proves_every_snapshot() -> None:
    group = a_long_group()

    assert verdicts(group) == [PROVEN] * 5
    assert group.read == list(group.snapshots)
    assert group.account.anomalies > 0


def test_a_wrong_snapshot_is_detected_even_if_every_score_is_right() -> None:
    group = a_long_group()
    at = list(group.snapshots)[1]
    content = bytearray(group.snapshots[at].content)
    content[-1] ^= 1
    group.snapshots[at] = replace(group.snapshots[at], content=bytes(content))

    findings = group.verify()

    assert [finding.verdict for finding in findings[:2]] == [PROVEN, DIFFERENT]
    assert f"the snapshot at offset {at.next_offset} differs" in findings[1].detail


def test_an_interval_after_a_wrong_one_is_verified_from_the_snapshot_between_them() -> None:
    group = a_long_group()
    wrong = REPLAY_CHUNK_ROWS // 5 + 3
    group.input[wrong] = StoredRecord(b"{", group.input[wrong].stored_offset)

    assert verdicts(group) == [PROVEN, DIFFERENT, PROVEN, PROVEN, PROVEN]


def test_after_deleted_input_the_proof_begins_at_the_next_snapshot() -> None:
    group = a_long_group()
    second = list(group.snapshots)[1]

    results = verdicts(group, first_retained=second.next_offset)

    assert results == [NOT_RETAINED, NOT_RETAINED, PROVEN, PROVEN, PROVEN]


def test_intervals_before_the_oldest_snapshot_cannot_be_verified() -> None:
    group = a_long_group()
    for at in list(group.snapshots)[:3]:
        del group.snapshots[at]

    findings = group.verify(first_retained=1)

    assert [finding.verdict for finding in findings] == [NOT_RETAINED] * 4 + [PROVEN]
    assert "the memory at offset" in findings[1].detail


def test_snapshots_are_not_needed_while_all_input_is_retained() -> None:
    group = a_long_group()
    group.snapshots.clear()

    assert verdicts(group) == [PROVEN] * 5


@pytest.mark.parametrize(
    "swaps", [[SECOND], [SECOND, FIRST], [SECOND, FIRST, SECOND]], ids="-".join
)
def test_every_later_version_adopts_the_memory_even_if_it_scored_no_record(
    swaps: list[str],
) -> None:
    group = a_group()
    group.consume(an_input()[: REPLAY_CHUNK_ROWS // 2])
    for version in swaps:
        group.swap(version)
    group.consume(an_input()[REPLAY_CHUNK_ROWS // 2 :])
    group.write_snapshot()

    assert verdicts(group) == [PROVEN, PROVEN]


def test_a_missing_unused_version_is_bridged_by_the_snapshot() -> None:
    group = a_group()
    group.consume(an_input()[: REPLAY_CHUNK_ROWS // 2])
    group.swap(SECOND)
    group.swap(FIRST)
    group.consume(an_input()[REPLAY_CHUNK_ROWS // 2 :])
    del group.detectors[SECOND]

    assert verdicts(group) == [PROVEN, PROVEN]
    assert group.read[-1] == list(group.snapshots)[-1]
    group.snapshots.clear()
    assert verdicts(group) == [PROVEN, NOT_RETAINED]


def test_after_a_missing_version_the_proof_begins_at_the_snapshot_of_the_change() -> None:
    group = a_group()
    group.consume(an_input()[: REPLAY_CHUNK_ROWS // 2])
    group.swap(SECOND)
    group.consume(an_input()[REPLAY_CHUNK_ROWS // 2 :])
    del group.detectors[FIRST]

    assert verdicts(group) == [Verdict.NO_MODEL, PROVEN]


def test_a_changed_max_sensors_applies_from_its_ledger_record_on() -> None:
    group = LedgerGroup(detectors(), max_sensors=3)
    group.consume(an_input()[: REPLAY_CHUNK_ROWS // 3])
    group.set_max_sensors(SENSORS)
    group.consume(an_input()[REPLAY_CHUNK_ROWS // 3 : REPLAY_CHUNK_ROWS // 2])
    group.set_max_sensors(2)
    group.write_snapshot()
    group.consume(an_input()[REPLAY_CHUNK_ROWS // 2 :])
    group.write_snapshot()

    assert group.memory.evicted > 0
    assert verdicts(group) == [PROVEN] * 3


def test_a_new_segment_begins_with_the_memory_in_its_snapshot() -> None:
    """Other code restored that memory, so its last bits may differ from those computed here."""
    group = a_group(OTHER_FINGERPRINT)
    group.consume(an_input()[: REPLAY_CHUNK_ROWS // 2])
    group.memory.floats[0, 0] += 1e-9
    group.segment(OWN_FINGERPRINT)
    group.consume(an_input()[REPLAY_CHUNK_ROWS // 2 :])
    group.write_snapshot()

    assert verdicts(group) == [PROVEN, PROVEN]
    group.snapshots.clear()
    assert verdicts(group) == [PROVEN, NOT_RETAINED]


def test_intervals_of_other_code_are_compared_by_counts_from_each_snapshot() -> None:
    group = a_long_group(OTHER_FINGERPRINT)
    group.account = replace(group.account, digest=1)
    changed = [
        structs.replace(record, account=replace(record.account, digest=1))
        for record in group.ledger
    ]
    group.ledger[1:] = changed[1:]

    assert verdicts(group) == [COUNTS_ONLY] * 5
    assert group.read == list(group.snapshots)
    group.snapshots.clear()
    assert verdicts(group) == [COUNTS_ONLY] * 5


def test_a_snapshot_of_another_offset_is_not_compared() -> None:
    group = a_group()
    group.consume(an_input()[: REPLAY_CHUNK_ROWS // 2])
    group.write_snapshot()
    group.consume(an_input()[REPLAY_CHUNK_ROWS // 2 :])
    group.account = replace(group.account, snapshot=SnapshotRef(0, REPLAY_CHUNK_ROWS))

    assert verdicts(group) == [PROVEN, PROVEN]
