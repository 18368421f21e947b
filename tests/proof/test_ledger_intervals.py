from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest

from sensorwatch.common.errors import ModelRefused, StateRefused
from sensorwatch.common.kafka.ledger_text import LEDGER_VERSION, Cause, LedgerRecord
from sensorwatch.common.kafka.records import Partition, Record
from sensorwatch.common.kafka.snapshot_text import Snapshot
from sensorwatch.common.ledger.account import (
    Account,
    SnapshotRef,
    advance_account,
    open_account,
    start_segment,
)
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import process
from sensorwatch.proof.ledger_intervals import (
    Finding,
    LedgerInterval,
    Verdict,
    restarted_accounts,
    since_last_opening,
    split_ledger,
)
from sensorwatch.proof.replay_proof import ProofInputs, ReplayProof
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, a_detector

OWN_FINGERPRINT = "aaaaaaaaaaaa"
SOURCE = Partition("sensors", 0)
FIRST_DETECTOR, SECOND_DETECTOR = a_detector("first", seed=7), a_detector("second", seed=8)


class InputRecord:
    """A fake record of the input partition."""

    def __init__(self, offset: int, value: bytes | None) -> None:
        self._offset, self._value = offset, value

    def topic(self) -> str:
        return SOURCE.topic

    def partition(self) -> int:
        return SOURCE.number

    def offset(self) -> int:
        return self._offset

    def key(self) -> bytes | None:
        return b"s"

    def value(self) -> bytes | None:
        return self._value

    def headers(self) -> None:
        return None

    def set_headers(self, headers: object) -> None:
        raise AssertionError("the headers are readable")

    def timestamp(self) -> tuple[int, int]:
        return 0, -1


def some_records(row_count: int = 30, *, first_offset: int = 0) -> list[InputRecord]:
    def payload(number: int) -> bytes:
        if number % 7 == 3:
            return b"{"
        x1, x2, x3 = ANOMALOUS_VALUES if number % 5 == 1 else NORMAL_VALUES
        x1 += number / 100
        text = f'{{"timestamp":"2025-01-01T00:00:00Z","x1":{x1},"x2":{x2},"x3":{x3}}}'
        return text.encode()

    return [InputRecord(first_offset + number, payload(number)) for number in range(row_count)]


def account_after_scoring(
    account: Account, records: Sequence[Record], detector: Detector
) -> Account:
    outcome = process([record.value() for record in records], detector, detector.empty_memory())
    return advance_account(
        account,
        offsets=np.asarray([record.offset() for record in records], dtype=np.int64),
        kinds=outcome.kinds,
        reasons=outcome.reasons,
        score_bits=outcome.score_bits,
        model_version=detector.version,
    )


def account_at(offset: int = 0, *, fingerprint: str = OWN_FINGERPRINT) -> Account:
    return open_account(offset, model_version="first", fingerprint=fingerprint)


def ledger_record(cause: Cause, account: Account) -> LedgerRecord:
    return LedgerRecord(LEDGER_VERSION, "group", SOURCE.topic, SOURCE.number, cause, account)


def verify(
    interval: LedgerInterval,
    records: Sequence[Record],
    *,
    first_retained: int = 0,
    own_fingerprint: str = OWN_FINGERPRINT,
) -> Finding:
    def read_records(requested_interval: LedgerInterval) -> Iterator[Record]:
        begin, end = requested_interval.begin.next_offset, requested_interval.end.next_offset
        return (record for record in records if begin <= (record.offset() or 0) < end)

    def load_detector(version: str, _policy: str) -> Detector:
        detectors = {"first": FIRST_DETECTOR, "second": SECOND_DETECTOR}
        if version not in detectors:
            raise ModelRefused(f"no version {version}")
        return detectors[version]

    def load_snapshot(partition: Partition, snapshot_ref: SnapshotRef) -> Snapshot:
        raise StateRefused(f"no snapshot of {partition} at {snapshot_ref}")

    proof_inputs = ProofInputs(
        own_fingerprint,
        lambda _partition: first_retained,
        read_records,
        load_detector,
        load_snapshot,
    )
    return ReplayProof(proof_inputs).verify(interval)


def test_a_correct_interval_is_proven() -> None:
    records = some_records()
    interval = LedgerInterval(
        SOURCE, account_at(), account_after_scoring(account_at(), records, FIRST_DETECTOR)
    )

    assert verify(interval, records).verdict is Verdict.PROVEN


@pytest.mark.parametrize("missing_offset", [0, 3, 6, 29])
def test_a_record_missing_in_the_account_is_detected(missing_offset: int) -> None:
    records = some_records()
    other_records = [record for record in records if record.offset() != missing_offset]
    interval = LedgerInterval(
        SOURCE,
        account_at(),
        account_after_scoring(account_at(), other_records, FIRST_DETECTOR),
    )
    full_interval = replace(interval, end=replace(interval.end, next_offset=30))

    assert verify(full_interval, records).verdict is Verdict.DIFFERENT


def test_a_row_scored_by_another_version_is_detected_even_with_the_same_decisions() -> None:
    records = some_records()
    account_by_second = account_after_scoring(
        account_at(), records, replace(SECOND_DETECTOR, calibration=FIRST_DETECTOR.calibration)
    )
    interval = LedgerInterval(
        SOURCE, account_at(), replace(account_by_second, model_version="first")
    )

    assert verify(interval, records).verdict is Verdict.DIFFERENT


def test_swapped_outcomes_with_equal_counts_are_detected_by_the_digest() -> None:
    records = some_records()
    swapped_records = list(records)
    swapped_records[3], swapped_records[4] = (
        InputRecord(3, records[4].value()),
        InputRecord(4, records[3].value()),
    )
    interval = LedgerInterval(
        SOURCE,
        account_at(),
        account_after_scoring(account_at(), swapped_records, FIRST_DETECTOR),
    )

    finding = verify(interval, records)

    assert finding.verdict is Verdict.DIFFERENT
    assert "digest" in finding.detail


def test_an_account_with_another_fingerprint_is_compared_by_its_counts() -> None:
    records = some_records()
    other_account = account_at(fingerprint="bbbbbbbbbbbb")
    end = replace(account_after_scoring(other_account, records, FIRST_DETECTOR), digest=1)

    assert (
        verify(LedgerInterval(SOURCE, other_account, end), records).verdict is Verdict.COUNTS_ONLY
    )
    wrong_end_account = replace(end, normal=end.normal - 1, anomalies=end.anomalies + 1)
    assert (
        verify(LedgerInterval(SOURCE, other_account, wrong_end_account), records).verdict
        is Verdict.DIFFERENT
    )


def test_deleted_input_and_a_missing_model_have_their_own_verdicts() -> None:
    records = some_records()
    end = account_after_scoring(account_at(), records, FIRST_DETECTOR)

    assert (
        verify(LedgerInterval(SOURCE, account_at(), end), records, first_retained=5).verdict
        is Verdict.NOT_RETAINED
    )
    pruned_interval = LedgerInterval(SOURCE, account_at(), replace(end, model_version="pruned"))
    assert verify(pruned_interval, records).verdict is Verdict.NO_MODEL


def test_a_ledger_is_split_at_a_new_version_and_at_a_new_segment() -> None:
    records = some_records(30)
    opening_account = account_at(fingerprint="bbbbbbbbbbbb")
    first_account = account_after_scoring(opening_account, records[:10], FIRST_DETECTOR)
    second_account = account_after_scoring(first_account, records[10:20], SECOND_DETECTOR)
    new_segment_account = start_segment(second_account, fingerprint=OWN_FINGERPRINT)
    committed_account = account_after_scoring(new_segment_account, records[20:], SECOND_DETECTOR)
    ledger = [
        ledger_record(Cause.OPENED, opening_account),
        ledger_record(Cause.MODEL, first_account),
        ledger_record(Cause.SEGMENT, second_account),
    ]

    intervals = split_ledger(ledger, committed_account)

    assert [
        (interval.begin.next_offset, interval.end.next_offset, interval.version)
        for interval in intervals
    ] == [
        (0, 10, "first"),
        (10, 20, "second"),
        (20, 30, "second"),
    ]
    assert verify(intervals[0], records).verdict is Verdict.PROVEN


def test_an_account_that_is_opened_again_is_not_joined_to_the_previous_account() -> None:
    previous_account = account_after_scoring(account_at(), some_records(10), FIRST_DETECTOR)
    reopened_account = account_at(50)
    committed_account = account_after_scoring(
        reopened_account, some_records(10, first_offset=50), FIRST_DETECTOR
    )
    ledger = [
        ledger_record(Cause.OPENED, account_at()),
        ledger_record(Cause.INTERVAL, previous_account),
        ledger_record(Cause.OPENED, reopened_account),
    ]

    intervals = split_ledger(ledger, committed_account)

    assert [(interval.begin.next_offset, interval.end.next_offset) for interval in intervals] == [
        (0, 10),
        (50, 60),
    ]
    assert split_ledger(since_last_opening(ledger), committed_account) == intervals[1:]


@pytest.mark.parametrize(
    ("moved_to", "detail"),
    [(4, "offsets 4 to 9 were scored again"), (50, "10 to 49 were skipped")],
)
def test_a_manually_moved_offset_is_a_separate_finding(moved_to: int, detail: str) -> None:
    previous_account = account_after_scoring(account_at(), some_records(10), FIRST_DETECTOR)
    ledger = [
        ledger_record(Cause.OPENED, account_at()),
        ledger_record(Cause.INTERVAL, previous_account),
        ledger_record(Cause.OPENED, account_at(moved_to)),
    ]

    (finding,) = restarted_accounts(ledger)

    assert finding.verdict is Verdict.ACCOUNT_RESTARTED
    assert detail in finding.detail
    assert finding.interval.records == 0
    assert restarted_accounts(since_last_opening(ledger)) == []


def test_an_account_restarted_at_the_same_offset_is_not_a_finding() -> None:
    previous_account = account_after_scoring(account_at(), some_records(10), FIRST_DETECTOR)

    assert (
        restarted_accounts(
            [
                ledger_record(Cause.INTERVAL, previous_account),
                ledger_record(Cause.OPENED, account_at(10)),
            ]
        )
        == []
    )
