"""`ledger verify` with memory: one is carried through the stretches, and proves the snapshots."""

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
    """Rows in turns of the sensors 06 to 09, with faults that last, at every second offset."""
    random = np.random.default_rng(3)
    found = []
    for number in range(REPLAY_CHUNK_ROWS):
        sensor, turn = number % SENSORS, number // SENSORS
        values = random.normal(size=3) + 12.0 * (turn % 17 in (11, 12, 13) and sensor % 2)
        time = format_instant(START - STEP * (REPLAY_CHUNK_ROWS // SENSORS - turn))
        payload = a_payload(values.tolist(), timestamp=time, sensor_id=f"sensor-{6 + sensor:02d}")
        found.append(StoredRecord(payload, 2 * number))
    return found


def a_group(fingerprint: str = OWN_FINGERPRINT) -> LedgerGroup:
    return LedgerGroup(detectors(), fingerprint=fingerprint)


def a_long_group(fingerprint: str = OWN_FINGERPRINT) -> LedgerGroup:
    """Four fifths of the input with a record of the ledger after each, the rest without one."""
    group, part = a_group(fingerprint), REPLAY_CHUNK_ROWS // 5
    for number in range(4):
        group.consume(an_input()[number * part : (number + 1) * part])
        group.write_snapshot()
    group.consume(an_input()[4 * part :])
    return group


def verdicts(group: LedgerGroup, *, first_retained: int = 0) -> list[Verdict]:
    return [finding.verdict for finding in group.verify(first_retained=first_retained)]


def test_one_memory_walks_through_all_stretches_and_proves_every_snapshot() -> None:
    group = a_long_group()

    assert verdicts(group) == [PROVEN] * 5
    assert group.read == list(group.snapshots)
    assert group.account.anomalies > 0


def test_a_memory_that_was_written_down_wrong_is_found_though_every_score_is_right() -> None:
    group = a_long_group()
    at = list(group.snapshots)[1]
    content = bytearray(group.snapshots[at].content)
    content[-1] ^= 1
    group.snapshots[at] = replace(group.snapshots[at], content=bytes(content))

    found = group.verify()

    assert [finding.verdict for finding in found[:2]] == [PROVEN, DIFFERENT]
    assert f"memory written down at offset {at.next_offset}" in found[1].detail


def test_a_stretch_after_a_wrong_one_is_judged_from_the_snapshot_between_them() -> None:
    group = a_long_group()
    wrong = REPLAY_CHUNK_ROWS // 5 + 3
    group.input[wrong] = StoredRecord(b"{", group.input[wrong].stored_offset)

    assert verdicts(group) == [PROVEN, DIFFERENT, PROVEN, PROVEN, PROVEN]


def test_where_the_input_is_deleted_it_begins_at_the_oldest_snapshot_that_is_left() -> None:
    group = a_long_group()
    second = list(group.snapshots)[1]

    found = verdicts(group, first_retained=second.next_offset)

    assert found == [NOT_RETAINED, NOT_RETAINED, PROVEN, PROVEN, PROVEN]


def test_what_lies_before_the_oldest_snapshot_cannot_be_said() -> None:
    group = a_long_group()
    for at in list(group.snapshots)[:3]:
        del group.snapshots[at]

    found = group.verify(first_retained=1)

    assert [finding.verdict for finding in found] == [NOT_RETAINED] * 4 + [PROVEN]
    assert "the memory at offset" in found[1].detail


def test_old_snapshots_are_not_missed_while_the_input_is_all_there() -> None:
    group = a_long_group()
    group.snapshots.clear()

    assert verdicts(group) == [PROVEN] * 5


@pytest.mark.parametrize(
    "swaps", [[SECOND], [SECOND, FIRST], [SECOND, FIRST, SECOND]], ids="-".join
)
def test_the_memory_changes_hands_at_every_swap_also_of_versions_that_scored_nothing(
    swaps: list[str],
) -> None:
    group = a_group()
    group.consume(an_input()[: REPLAY_CHUNK_ROWS // 2])
    for version in swaps:
        group.swap(version)
    group.consume(an_input()[REPLAY_CHUNK_ROWS // 2 :])
    group.write_snapshot()

    assert verdicts(group) == [PROVEN, PROVEN]


def test_where_a_version_between_is_gone_the_snapshot_helps() -> None:
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


def test_after_a_version_that_is_gone_it_begins_at_the_snapshot_of_the_swap() -> None:
    group = a_group()
    group.consume(an_input()[: REPLAY_CHUNK_ROWS // 2])
    group.swap(SECOND)
    group.consume(an_input()[REPLAY_CHUNK_ROWS // 2 :])
    del group.detectors[FIRST]

    assert verdicts(group) == [Verdict.NO_MODEL, PROVEN]


def test_another_bound_counts_from_where_the_ledger_tells_it() -> None:
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


def test_a_new_segment_begins_with_the_memory_that_was_written_down_there() -> None:
    """Other code restored it: its last bits may be others than scoring again here gives."""
    group = a_group(OTHER_FINGERPRINT)
    group.consume(an_input()[: REPLAY_CHUNK_ROWS // 2])
    group.memory.floats[0, 0] += 1e-9
    group.segment(OWN_FINGERPRINT)
    group.consume(an_input()[REPLAY_CHUNK_ROWS // 2 :])
    group.write_snapshot()

    assert verdicts(group) == [PROVEN, PROVEN]
    group.snapshots.clear()
    assert verdicts(group) == [PROVEN, NOT_RETAINED]


def test_what_other_code_wrote_is_compared_by_counts_and_taken_up_at_each_snapshot() -> None:
    group = a_long_group(OTHER_FINGERPRINT)
    group.account = replace(group.account, digest=1)
    others = [
        structs.replace(told, account=replace(told.account, digest=1)) for told in group.ledger
    ]
    group.ledger[1:] = others[1:]

    assert verdicts(group) == [COUNTS_ONLY] * 5
    assert group.read == list(group.snapshots)
    group.snapshots.clear()
    assert verdicts(group) == [COUNTS_ONLY] * 5


def test_a_snapshot_that_stands_elsewhere_is_none_of_this_record() -> None:
    group = a_group()
    group.consume(an_input()[: REPLAY_CHUNK_ROWS // 2])
    group.write_snapshot()
    group.consume(an_input()[REPLAY_CHUNK_ROWS // 2 :])
    group.account = replace(group.account, snapshot=SnapshotRef(0, REPLAY_CHUNK_ROWS))

    assert verdicts(group) == [PROVEN, PROVEN]
