"""Scores an input partition again, with the versions in the ledger, to get expected outcomes."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter

import numpy as np
from msgspec import structs

from sensorwatch.common.kafka.ledger_text import Cause, LedgerRecord
from sensorwatch.common.kafka.records import (
    OutgoingMessage,
    Partition,
    Record,
    coordinates,
    received_at,
)
from sensorwatch.common.ledger.account import Account, advance_account, open_account
from sensorwatch.common.runtime.setting_choices import Emit
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import MAX_SENSORS, Memory
from sensorwatch.common.scoring.processing import Outcome, OutcomeKind, process
from sensorwatch.consumer.publishing.events import anomaly_events
from tests.checker.run_history import EpisodeEnd, Expected, RecordOutcome

_OUTCOMES = {
    OutcomeKind.NORMAL: RecordOutcome.NORMAL,
    OutcomeKind.ANOMALY: RecordOutcome.ANOMALY,
    OutcomeKind.DEAD_LETTER: RecordOutcome.DEAD_LETTER,
}


@dataclass(frozen=True, slots=True)
class Expectation:
    """The expected outcomes of a partition, and the digest of the committed records."""

    expected: tuple[Expected, ...]
    episode_ends: tuple[EpisodeEnd, ...]
    digest: int | None


def rescore(
    records: Sequence[Record],
    account: Account | None,
    ledger: Sequence[LedgerRecord],
    detectors: Mapping[str, Detector],
    emit: Emit = Emit.ROWS,
) -> Expectation:
    """Return the expected outcomes of the records of one partition, from the group's first one.

    `account` is the last account of the partition, `ledger` has its ledger records and `detectors`
    every version. Records that are not committed are scored with the newest version.
    """
    rescored = _account_at_segment(account)
    expected: list[Expected] = []
    episode_ends: list[EpisodeEnd] = []
    for version_records, detector, memory in _version_runs(records, account, ledger, detectors):
        for batch in _batches(version_records):
            outcome = _process(batch, detector, memory)
            events = anomaly_events(outcome, detector, batch, topic="", detected_at="", emit=emit)
            by_id = {dict(event.headers)["ce_id"]: event for event in events}
            expected += _expected(outcome, batch, by_id)
            episode_ends += _expected_ends(outcome, batch, by_id)
            rescored = _account_for(rescored, account, batch, outcome)
    digest = None if rescored is None else rescored.digest
    return Expectation(tuple(expected), tuple(episode_ends), digest)


def _version_runs(
    records: Sequence[Record],
    account: Account | None,
    ledger: Sequence[LedgerRecord],
    detectors: Mapping[str, Detector],
) -> Iterator[tuple[list[Record], Detector, Memory]]:
    """Yield the records of each version with its detector and memory.

    There is one memory for each time that the account was opened, with its `max_sensors`.
    """
    max_sensors = MAX_SENSORS if account is None else account.max_sensors
    remaining = list(records)
    lifetimes = _account_lifetimes(ledger)
    for lifetime, following in zip(lifetimes, [*lifetimes[1:], None], strict=True):
        end = None if following is None else following[0].account.next_offset
        lifetime_records = [
            one for one in remaining if end is None or coordinates(one).offset < end
        ]
        remaining = remaining[len(lifetime_records) :]
        newest = account if following is None else lifetime[-1].account
        version = next(iter(detectors)) if newest is None else newest.model_version
        memory: Memory | None = None
        versions = _versions(newest, lifetime)
        for name, version_records in _by_version(lifetime_records, [*versions, (None, version)]):
            detector = detectors[name]
            if memory is None:
                memory = detector.empty_memory(max_sensors=max_sensors)
            else:
                memory.adopt(detector)
            yield version_records, detector, memory


def _account_lifetimes(ledger: Sequence[LedgerRecord]) -> list[list[LedgerRecord]]:
    """Group a partition's ledger records by opened account."""
    lifetimes: list[list[LedgerRecord]] = [[]]
    for one in ledger:
        if one.cause is Cause.OPENED and lifetimes[-1]:
            lifetimes.append([])
        lifetimes[-1].append(one)
    return lifetimes


def _versions(account: Account | None, ledger: Sequence[LedgerRecord]) -> list[tuple[int, str]]:
    """Return (next offset, version): the version scored the records below this offset."""
    swaps = [one.account for one in ledger if one.cause is Cause.MODEL]
    swaps += [] if account is None else [account]
    return [(one.next_offset, one.model_version) for one in swaps]


def _by_version(
    records: Sequence[Record], versions: Sequence[tuple[int | None, str]]
) -> Iterator[tuple[str, list[Record]]]:
    """Yield each version with its records; a version without records still adopts the memory.

    Consecutive entries of the same version are merged.
    """
    remaining = list(records)
    for name, entries in groupby(versions, key=itemgetter(1)):
        *_, (end, _) = entries
        version_records = [one for one in remaining if end is None or coordinates(one).offset < end]
        remaining = remaining[len(version_records) :]
        yield name, version_records


def _batches(records: list[Record]) -> list[list[Record]]:
    # An unusual size: no result may depend on the boundaries of micro-batches.
    return [records[start : start + 997] for start in range(0, len(records), 997)]


def _process(records: list[Record], detector: Detector, memory: Memory) -> Outcome:
    received = [received_at(record) for record in records]
    return process(
        [record.value() for record in records],
        detector,
        memory,
        positions=np.asarray([coordinates(record).offset for record in records], dtype=np.int64),
        received=received,
    )


def _expected(
    outcome: Outcome, records: list[Record], events: Mapping[bytes | None, OutgoingMessage]
) -> list[Expected]:
    rejections = iter(outcome.rejections)
    expected = []
    for record, number in zip(records, outcome.kinds, strict=True):
        record_outcome = _OUTCOMES[OutcomeKind(number)]
        offset = coordinates(record).offset
        match record_outcome:
            case RecordOutcome.NORMAL:
                expected.append(Expected(offset, record_outcome))
            case RecordOutcome.ANOMALY:
                event = events.get(str(coordinates(record)).encode())
                if event is None:
                    expected.append(Expected(offset, record_outcome, has_event=False))
                else:
                    expected.append(Expected(offset, record_outcome, event.key, event.value))
            case RecordOutcome.DEAD_LETTER:
                # A dead letter keeps the record's bytes, so no code of the consumer is needed.
                reason = next(rejections).reason.value
                expected.append(
                    Expected(offset, record_outcome, record.key(), record.value(), reason)
                )
    return expected


def _expected_ends(
    outcome: Outcome, records: list[Record], events: Mapping[bytes | None, OutgoingMessage]
) -> list[EpisodeEnd]:
    ends = []
    for closed in outcome.closed:
        origin = coordinates(records[closed.index])
        event = events[f"{structs.replace(origin, offset=closed.start)}-closed".encode()]
        ends.append(EpisodeEnd(closed.start, origin.offset, event.key, event.value))
    return ends


def _account_at_segment(account: Account | None) -> Account | None:
    """Return the account at the first offset of its segment."""
    if account is None:
        return None
    return open_account(account.segment_offset, model_version="", fingerprint=account.fingerprint)


def _account_for(
    rescored: Account | None, account: Account | None, records: list[Record], outcome: Outcome
) -> Account | None:
    if rescored is None or account is None:
        return None
    offsets = np.array([coordinates(record).offset for record in records], dtype=np.int64)
    in_segment = (offsets >= account.segment_offset) & (offsets < account.next_offset)
    return advance_account(
        rescored,
        offsets=offsets[in_segment],
        kinds=outcome.kinds[in_segment],
        reasons=outcome.reasons[in_segment],
        score_bits=outcome.score_bits[in_segment],
        model_version="",
    )


def of_partition(ledger: Sequence[LedgerRecord], partition: Partition) -> list[LedgerRecord]:
    """Return the ledger records of one input partition, in order."""
    return [
        one for one in ledger if (one.topic, one.partition) == (partition.topic, partition.number)
    ]
