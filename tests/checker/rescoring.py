"""Score an input partition again, with the versions the ledger names, to know what must be."""

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
from sensorwatch.common.runtime.setting_keys import Emit
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
    """How the records of a partition must have ended, and the digest of those committed."""

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
    """Score the records of one partition, in order and from the group's first one.

    `account`: the partition's last one; `ledger`: the partition's records of the ledger topic;
    `detectors`: every version that was ever in force. What lies above the account's offset is
    scored with the newest version.
    """
    rescored = _account_at_segment(account)
    expected: list[Expected] = []
    episode_ends: list[EpisodeEnd] = []
    for part, detector, memory in _version_runs(records, account, ledger, detectors):
        for chunk in _chunks(part):
            outcome = _process(chunk, detector, memory)
            events = anomaly_events(outcome, detector, chunk, topic="", detected_at="", emit=emit)
            by_id = {dict(event.headers)["ce_id"]: event for event in events}
            expected += _expected(outcome, chunk, by_id)
            episode_ends += _expected_ends(outcome, chunk, by_id)
            rescored = _account_for(rescored, account, chunk, outcome)
    digest = None if rescored is None else rescored.digest
    return Expectation(tuple(expected), tuple(episode_ends), digest)


def _version_runs(
    records: Sequence[Record],
    account: Account | None,
    ledger: Sequence[LedgerRecord],
    detectors: Mapping[str, Detector],
) -> Iterator[tuple[list[Record], Detector, Memory]]:
    """Give each version its records, with the memory that it goes on with.

    There is one memory for each time that the account was opened, bounded as the account says.
    """
    bound = MAX_SENSORS if account is None else account.max_sensors
    remaining = list(records)
    lifetimes = _account_lifetimes(ledger)
    for lifetime, following in zip(lifetimes, [*lifetimes[1:], None], strict=True):
        end = None if following is None else following[0].account.next_offset
        part = [one for one in remaining if end is None or coordinates(one).offset < end]
        remaining = remaining[len(part) :]
        newest = account if following is None else lifetime[-1].account
        version = next(iter(detectors)) if newest is None else newest.model_version
        memory: Memory | None = None
        versions = _versions(newest, lifetime)
        for name, version_records in _by_version(part, [*versions, (None, version)]):
            detector = detectors[name]
            if memory is None:
                memory = detector.empty_memory(max_sensors=bound)
            else:
                memory.adopt(detector)
            yield version_records, detector, memory


def _account_lifetimes(ledger: Sequence[LedgerRecord]) -> list[list[LedgerRecord]]:
    """Cut a partition's ledger where its account was opened anew."""
    lifetimes: list[list[LedgerRecord]] = [[]]
    for one in ledger:
        if one.cause is Cause.OPENED and lifetimes[-1]:
            lifetimes.append([])
        lifetimes[-1].append(one)
    return lifetimes


def _versions(account: Account | None, ledger: Sequence[LedgerRecord]) -> list[tuple[int, str]]:
    """List (offset, version): the version scored the records from the last offset up to here."""
    swaps = [one.account for one in ledger if one.cause is Cause.MODEL]
    swaps += [] if account is None else [account]
    return [(one.next_offset, one.model_version) for one in swaps]


def _by_version(
    records: Sequence[Record], versions: Sequence[tuple[int | None, str]]
) -> Iterator[tuple[str, list[Record]]]:
    """Give each version its records, also one that scored none: the memory changed hands for it.

    A version that follows itself is the same model going on.
    """
    remaining = list(records)
    for name, turns in groupby(versions, key=itemgetter(1)):
        *_, (before, _) = turns
        part = [one for one in remaining if before is None or coordinates(one).offset < before]
        remaining = remaining[len(part) :]
        yield name, part


def _chunks(records: list[Record]) -> list[list[Record]]:
    # An odd size: nothing may depend on how the consumer cut its micro-batches.
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
    found = []
    for record, number in zip(records, outcome.kinds, strict=True):
        record_outcome = _OUTCOMES[OutcomeKind(number)]
        offset = coordinates(record).offset
        match record_outcome:
            case RecordOutcome.NORMAL:
                found.append(Expected(offset, record_outcome))
            case RecordOutcome.ANOMALY:
                event = events.get(str(coordinates(record)).encode())
                if event is None:
                    found.append(Expected(offset, record_outcome, has_event=False))
                else:
                    found.append(Expected(offset, record_outcome, event.key, event.value))
            case RecordOutcome.DEAD_LETTER:
                # The record's own bytes: what a dead letter must keep needs no code of ours.
                reason = next(rejections).reason.value
                found.append(Expected(offset, record_outcome, record.key(), record.value(), reason))
    return found


def _expected_ends(
    outcome: Outcome, records: list[Record], events: Mapping[bytes | None, OutgoingMessage]
) -> list[EpisodeEnd]:
    found = []
    for closed in outcome.closed:
        where = coordinates(records[closed.index])
        event = events[f"{structs.replace(where, offset=closed.start)}-closed".encode()]
        found.append(EpisodeEnd(closed.start, where.offset, event.key, event.value))
    return found


def _account_at_segment(account: Account | None) -> Account | None:
    """Return the account as it was where its digest began."""
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
    """Return the ledger topic's records of one input partition, in order."""
    return [
        one for one in ledger if (one.topic, one.partition) == (partition.topic, partition.number)
    ]
