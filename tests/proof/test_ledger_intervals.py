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
from tests.reading_builders import ANOMALOUS, NORMAL, a_detector

OWN_FINGERPRINT = "aaaaaaaaaaaa"
SOURCE = Partition("sensors", 0)
FIRST, SECOND = a_detector("first", seed=7), a_detector("second", seed=8)


class InputRecord:
    """A record of the input partition."""

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

    def timestamp(self) -> tuple[int, int]:
        return 0, -1


def some_records(count: int = 30, *, first: int = 0) -> list[InputRecord]:
    def payload(number: int) -> bytes:
        if number % 7 == 3:
            return b"{"
        x1, x2, x3 = ANOMALOUS if number % 5 == 1 else NORMAL
        x1 += number / 100
        text = f'{{"timestamp":"2025-01-01T00:00:00Z","x1":{x1},"x2":{x2},"x3":{x3}}}'
        return text.encode()

    return [InputRecord(first + number, payload(number)) for number in range(count)]


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


def opened_account(offset: int = 0, *, fingerprint: str = OWN_FINGERPRINT) -> Account:
    return open_account(offset, model_version="first", fingerprint=fingerprint)


def ledger_record(cause: Cause, account: Account) -> LedgerRecord:
    return LedgerRecord(LEDGER_VERSION, "group", SOURCE.topic, SOURCE.number, cause, account)


def verified(
    interval: LedgerInterval,
    records: Sequence[Record],
    *,
    first_retained: int = 0,
    own_fingerprint: str = OWN_FINGERPRINT,
) -> Finding:
    def read(requested: LedgerInterval) -> Iterator[Record]:
        begin, end = requested.begin.next_offset, requested.end.next_offset
        return (record for record in records if begin <= (record.offset() or 0) < end)

    def load(version: str) -> Detector:
        known = {"first": FIRST, "second": SECOND}
        if version not in known:
            raise ModelRefused(f"no version {version}")
        return known[version]

    def snapshot(partition: Partition, at: SnapshotRef) -> Snapshot:
        raise StateRefused(f"no snapshot of {partition} at {at}")

    inputs = ProofInputs(own_fingerprint, lambda _partition: first_retained, read, load, snapshot)
    return ReplayProof(inputs).verify(interval)


def test_a_correct_interval_is_proven() -> None:
    records = some_records()
    interval = LedgerInterval(
        SOURCE, opened_account(), account_after_scoring(opened_account(), records, FIRST)
    )

    assert verified(interval, records).verdict is Verdict.PROVEN


@pytest.mark.parametrize("missing", [0, 3, 6, 29])
def test_a_record_missing_in_the_account_is_detected(missing: int) -> None:
    records = some_records()
    kept = [record for record in records if record.offset() != missing]
    interval = LedgerInterval(
        SOURCE, opened_account(), account_after_scoring(opened_account(), kept, FIRST)
    )
    full_interval = replace(interval, end=replace(interval.end, next_offset=30))

    assert verified(full_interval, records).verdict is Verdict.DIFFERENT


def test_a_row_scored_by_another_version_is_detected_even_with_the_same_decisions() -> None:
    records = some_records()
    by_second = account_after_scoring(
        opened_account(), records, replace(SECOND, calibration=FIRST.calibration)
    )
    interval = LedgerInterval(SOURCE, opened_account(), replace(by_second, model_version="first"))

    assert verified(interval, records).verdict is Verdict.DIFFERENT


def test_swapped_outcomes_with_equal_counts_are_detected_by_the_digest() -> None:
    records = some_records()
    swapped = list(records)
    swapped[3], swapped[4] = InputRecord(3, records[4].value()), InputRecord(4, records[3].value())
    interval = LedgerInterval(
        SOURCE, opened_account(), account_after_scoring(opened_account(), swapped, FIRST)
    )

    finding = verified(interval, records)

    assert finding.verdict is Verdict.DIFFERENT
    assert "digest" in finding.detail


def test_an_account_by_other_code_is_compared_by_its_counts() -> None:
    records = some_records()
    theirs = opened_account(fingerprint="bbbbbbbbbbbb")
    end = replace(account_after_scoring(theirs, records, FIRST), digest=1)

    assert verified(LedgerInterval(SOURCE, theirs, end), records).verdict is Verdict.COUNTS_ONLY
    wrong = replace(end, normal=end.normal - 1, anomalies=end.anomalies + 1)
    assert verified(LedgerInterval(SOURCE, theirs, wrong), records).verdict is Verdict.DIFFERENT


def test_deleted_input_and_a_missing_model_have_their_own_verdicts() -> None:
    records = some_records()
    end = account_after_scoring(opened_account(), records, FIRST)

    assert (
        verified(LedgerInterval(SOURCE, opened_account(), end), records, first_retained=5).verdict
        is Verdict.NOT_RETAINED
    )
    pruned = LedgerInterval(SOURCE, opened_account(), replace(end, model_version="pruned"))
    assert verified(pruned, records).verdict is Verdict.NO_MODEL


def test_a_ledger_is_split_at_a_new_version_and_at_a_new_segment() -> None:
    records = some_records(30)
    start = opened_account(fingerprint="bbbbbbbbbbbb")
    swap = account_after_scoring(start, records[:10], FIRST)
    other = account_after_scoring(swap, records[10:20], SECOND)
    renewed = start_segment(other, fingerprint=OWN_FINGERPRINT)
    committed = account_after_scoring(renewed, records[20:], SECOND)
    ledger = [
        ledger_record(Cause.OPENED, start),
        ledger_record(Cause.MODEL, swap),
        ledger_record(Cause.SEGMENT, other),
    ]

    intervals = split_ledger(ledger, committed)

    assert [(i.begin.next_offset, i.end.next_offset, i.version) for i in intervals] == [
        (0, 10, "first"),
        (10, 20, "second"),
        (20, 30, "second"),
    ]
    assert verified(intervals[0], records).verdict is Verdict.PROVEN


def test_an_account_opened_again_is_not_joined_to_the_one_before() -> None:
    before = account_after_scoring(opened_account(), some_records(10), FIRST)
    reopened = opened_account(50)
    committed = account_after_scoring(reopened, some_records(10, first=50), FIRST)
    ledger = [
        ledger_record(Cause.OPENED, opened_account()),
        ledger_record(Cause.INTERVAL, before),
        ledger_record(Cause.OPENED, reopened),
    ]

    intervals = split_ledger(ledger, committed)

    assert [(i.begin.next_offset, i.end.next_offset) for i in intervals] == [(0, 10), (50, 60)]
    assert split_ledger(since_last_opening(ledger), committed) == intervals[1:]


@pytest.mark.parametrize(
    ("moved_to", "detail"),
    [(4, "offsets 4 to 9 were scored again"), (50, "10 to 49 were skipped")],
)
def test_an_offset_moved_by_hand_is_a_separate_finding(moved_to: int, detail: str) -> None:
    before = account_after_scoring(opened_account(), some_records(10), FIRST)
    ledger = [
        ledger_record(Cause.OPENED, opened_account()),
        ledger_record(Cause.INTERVAL, before),
        ledger_record(Cause.OPENED, opened_account(moved_to)),
    ]

    (finding,) = restarted_accounts(ledger)

    assert finding.verdict is Verdict.ACCOUNT_RESTARTED
    assert detail in finding.detail
    assert finding.interval.records == 0
    assert restarted_accounts(since_last_opening(ledger)) == []


def test_an_account_restarted_at_the_same_offset_is_not_a_finding() -> None:
    before = account_after_scoring(opened_account(), some_records(10), FIRST)

    assert (
        restarted_accounts(
            [ledger_record(Cause.INTERVAL, before), ledger_record(Cause.OPENED, opened_account(10))]
        )
        == []
    )
