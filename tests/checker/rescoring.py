"""Score an input partition again, with the versions the ledger names, to know what must be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from common.detection.detector import Detector
from common.detection.ledger import Account, advance, open_account
from common.detection.memory import Memory
from common.detection.processing import Outcome, OutcomeKind, process
from common.messaging.events import anomaly_events
from common.messaging.ledger_text import Cause, LedgerRecord
from common.messaging.records import Partition, Record, coordinates, received_at
from tests.checker.history import Ending, Expected

_ENDINGS = {
    OutcomeKind.NORMAL: Ending.NORMAL,
    OutcomeKind.ANOMALY: Ending.ANOMALY,
    OutcomeKind.DEAD_LETTER: Ending.DEAD_LETTER,
}


@dataclass(frozen=True, slots=True)
class Expectation:
    """How the records of a partition must have ended, and the digest of those committed."""

    expected: tuple[Expected, ...]
    digest: int | None


def rescore(
    records: Sequence[Record],
    account: Account | None,
    ledger: Sequence[LedgerRecord],
    detectors: Mapping[str, Detector],
) -> Expectation:
    """Score the records of one partition, in order and from the group's first one.

    `account`: the partition's last one; `ledger`: the partition's records of the ledger topic;
    `detectors`: every version that was ever in force. What lies above the account's offset is
    scored with the newest version.
    """
    newest = account.model_version if account is not None else next(iter(detectors))
    versions = _versions(account, ledger)
    again = _reopened(account)
    expected: list[Expected] = []
    memory: Memory | None = None
    for name, part in groupby(records, key=lambda one: _version_at(one, versions, newest)):
        if memory is None:
            memory = detectors[name].cold()
        else:
            memory.adopt(detectors[name])
        for chunk in _chunks(list(part)):
            outcome = _process(chunk, detectors[name], memory)
            expected += _expected(outcome, detectors[name], chunk)
            again = _account_for(again, account, chunk, outcome)
    return Expectation(tuple(expected), None if again is None else again.digest)


def _versions(account: Account | None, ledger: Sequence[LedgerRecord]) -> list[tuple[int, str]]:
    """List (offset, version): the version scored the records from the last offset up to here."""
    swaps = [one.account for one in ledger if one.cause is Cause.MODEL]
    swaps += [] if account is None else [account]
    return [(one.next_offset, one.model_version) for one in swaps]


def _version_at(record: Record, versions: Sequence[tuple[int, str]], newest: str) -> str:
    offset = coordinates(record).offset
    return next((name for before, name in versions if offset < before), newest)


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


def _expected(outcome: Outcome, detector: Detector, records: list[Record]) -> list[Expected]:
    events = anomaly_events(outcome, detector, records, topic="", detected_at="")
    rejections = iter(outcome.rejections)
    found = []
    for record, number in zip(records, outcome.kinds, strict=True):
        ending = _ENDINGS[OutcomeKind(number)]
        offset = coordinates(record).offset
        match ending:
            case Ending.NORMAL:
                found.append(Expected(offset, ending))
            case Ending.ANOMALY:
                event = next(events)
                found.append(Expected(offset, ending, event.key, event.value))
            case Ending.DEAD_LETTER:
                # The record's own bytes: what a dead letter must keep needs no code of ours.
                reason = next(rejections).reason.value
                found.append(Expected(offset, ending, record.key(), record.value(), reason))
    return found


def _reopened(account: Account | None) -> Account | None:
    """Return the account as it was where its digest began."""
    if account is None:
        return None
    return open_account(account.segment_offset, model_version="", fingerprint=account.fingerprint)


def _account_for(
    again: Account | None, account: Account | None, records: list[Record], outcome: Outcome
) -> Account | None:
    if again is None or account is None:
        return None
    offsets = np.array([coordinates(record).offset for record in records], dtype=np.int64)
    mine = (offsets >= account.segment_offset) & (offsets < account.next_offset)
    return advance(
        again,
        offsets=offsets[mine],
        kinds=outcome.kinds[mine],
        reasons=outcome.reasons[mine],
        score_bits=outcome.score_bits[mine],
        model_version="",
    )


def of_partition(ledger: Sequence[LedgerRecord], partition: Partition) -> list[LedgerRecord]:
    """Return the ledger topic's records of one input partition, in order."""
    return [
        one for one in ledger if (one.topic, one.partition) == (partition.topic, partition.number)
    ]
