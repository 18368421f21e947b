"""Computes expected outcomes: scores an input partition again, with the ledger's versions."""

import json
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
from sensorwatch.common.kafka.source_values import sources_of_records
from sensorwatch.common.ledger.account import Account, advance_account, open_account
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.rows.limits import MAX_SENSORS
from sensorwatch.common.runtime.setting_choices import EmittedEvents
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import Outcome, OutcomeKind, process
from sensorwatch.common.scoring.silence_rule import NO_SILENCE_CHECK
from sensorwatch.consumer.publishing.events import anomaly_events
from tests.checker.run_history import (
    EpisodeEnd,
    EpisodeNotice,
    ExpectedOutcome,
    RecordOutcome,
)

_RECORD_OUTCOME_OF_KIND = {
    OutcomeKind.NORMAL: RecordOutcome.NORMAL,
    OutcomeKind.ANOMALY: RecordOutcome.ANOMALY,
    OutcomeKind.DEAD_LETTER: RecordOutcome.DEAD_LETTER,
    OutcomeKind.ABSORBED: RecordOutcome.ABSORBED,
}


@dataclass(frozen=True, slots=True)
class ExpectedOutput:
    """The expected outcomes of a partition, and the expected digest of its account."""

    expected_outcomes: tuple[ExpectedOutcome, ...]
    episode_ends: tuple[EpisodeEnd, ...]
    notices: tuple[EpisodeNotice, ...]
    digest: int | None


def rescore(
    records: Sequence[Record],
    account: Account | None,
    ledger: Sequence[LedgerRecord],
    detectors: Mapping[str, Detector],
    emit: EmittedEvents = EmittedEvents.ROWS,
    policies: Mapping[str, AlarmPolicy] | None = None,
) -> ExpectedOutput:
    """Return the expected outcomes of a partition's records, from the group's first record on.

    `account` is the last account of the partition, `ledger` has the ledger records of the
    partition, `detectors` has the detector of each version, and `policies` the policy of each id.
    Records that are not committed are scored with the newest version and policy.
    """
    rescored_account = _account_at_segment(account)
    expected_outcomes: list[ExpectedOutcome] = []
    episode_ends: list[EpisodeEnd] = []
    notices: list[EpisodeNotice] = []
    for version_records, detector, memory in _records_with_versions(
        records, account, ledger, detectors, policies or {}
    ):
        for batch in _split_batches(version_records):
            outcome = _process_records(batch, detector, memory)
            events = anomaly_events(outcome, detector, batch, topic="", detected_at="", emit=emit)
            events_by_id = {dict(event.headers)["ce_id"]: event for event in events}
            expected_outcomes += _expected_outcomes(outcome, batch, events_by_id)
            episode_ends += _expected_ends(outcome, batch, events_by_id)
            notices += _expected_notices(events_by_id)
            rescored_account = _advance_rescored(rescored_account, account, batch, outcome)
    digest = None if rescored_account is None else rescored_account.digest
    return ExpectedOutput(tuple(expected_outcomes), tuple(episode_ends), tuple(notices), digest)


def _records_with_versions(
    records: Sequence[Record],
    account: Account | None,
    ledger: Sequence[LedgerRecord],
    detectors: Mapping[str, Detector],
    policies: Mapping[str, AlarmPolicy],
) -> Iterator[tuple[list[Record], Detector, Memory]]:
    """Yield the records that each version scored under each policy, with detector and memory.

    Each opened account begins with a cold memory; `account` contains the `max_sensors` and the rule
    of silent sensors that applied to its records.
    """
    max_sensors = MAX_SENSORS if account is None else account.max_sensors
    silence_rule = NO_SILENCE_CHECK if account is None else account.silence_rule
    remaining_records = list(records)
    account_ledgers = _ledgers_of_accounts(ledger)
    for account_ledger, next_account_ledger in zip(
        account_ledgers, [*account_ledgers[1:], None], strict=True
    ):
        end_offset = (
            None if next_account_ledger is None else next_account_ledger[0].account.next_offset
        )
        account_records = [
            record
            for record in remaining_records
            if end_offset is None or coordinates(record).offset < end_offset
        ]
        remaining_records = remaining_records[len(account_records) :]
        last_account = account if next_account_ledger is None else account_ledger[-1].account
        last_version = (
            (next(iter(detectors)), "")
            if last_account is None
            else (last_account.model_version, last_account.policy)
        )
        memory: Memory | None = None
        previous_version = ""
        version_ends = _version_ends(last_account, account_ledger)
        for (version, policy), version_records in _records_by_version(
            account_records, [*version_ends, (None, last_version)]
        ):
            detector = detectors[version]
            if memory is None:
                memory = detector.empty_memory(max_sensors=max_sensors, silence_rule=silence_rule)
            elif version != previous_version:
                memory.adopt(detector)
            previous_version = version
            yield version_records, detector.under(policies[policy] if policy else None), memory


def _ledgers_of_accounts(ledger: Sequence[LedgerRecord]) -> list[list[LedgerRecord]]:
    """Group the ledger records of a partition by account.

    A ledger record of an opened account begins a group.
    """
    account_ledgers: list[list[LedgerRecord]] = [[]]
    for record in ledger:
        if record.cause is Cause.OPENED and account_ledgers[-1]:
            account_ledgers.append([])
        account_ledgers[-1].append(record)
    return account_ledgers


def _version_ends(
    account: Account | None, ledger: Sequence[LedgerRecord]
) -> list[tuple[int, tuple[str, str]]]:
    """Return for each version and policy: the offset after the last record, and the two ids."""
    causes = (Cause.MODEL, Cause.POLICY)
    accounts = [record.account for record in ledger if record.cause in causes]
    accounts += [] if account is None else [account]
    return [(a.next_offset, (a.model_version, a.policy)) for a in accounts]


def _records_by_version(
    records: Sequence[Record], versions: Sequence[tuple[int | None, tuple[str, str]]]
) -> Iterator[tuple[tuple[str, str], list[Record]]]:
    """Yield each pair of version and policy with the records scored by it, even if there are none.

    Consecutive items of `versions` with the same id are merged.
    """
    remaining_records = list(records)
    for version, version_entries in groupby(versions, key=itemgetter(1)):
        *_, (end_offset, _) = version_entries
        version_records = [
            record
            for record in remaining_records
            if end_offset is None or coordinates(record).offset < end_offset
        ]
        remaining_records = remaining_records[len(version_records) :]
        yield version, version_records


def _split_batches(records: list[Record]) -> list[list[Record]]:
    # A size that no consumer uses: the results must not depend on the sizes of micro-batches.
    return [records[start : start + 997] for start in range(0, len(records), 997)]


def _process_records(records: list[Record], detector: Detector, memory: Memory) -> Outcome:
    receive_times = [received_at(record) for record in records]
    return process(
        [record.value() for record in records],
        detector,
        memory,
        positions=np.asarray([coordinates(record).offset for record in records], dtype=np.int64),
        received=receive_times,
        sources=sources_of_records(records, detector.schema),
    )


def _expected_outcomes(
    outcome: Outcome, records: list[Record], events: Mapping[bytes | None, OutgoingMessage]
) -> list[ExpectedOutcome]:
    rejections = iter(outcome.rejections)
    expected_outcomes = []
    for record, kind in zip(records, outcome.kinds, strict=True):
        record_outcome = _RECORD_OUTCOME_OF_KIND[OutcomeKind(kind)]
        offset = coordinates(record).offset
        match record_outcome:
            case RecordOutcome.NORMAL | RecordOutcome.ABSORBED:
                expected_outcomes.append(ExpectedOutcome(offset, record_outcome))
            case RecordOutcome.ANOMALY:
                event = events.get(str(coordinates(record)).encode())
                if event is None:
                    expected_outcomes.append(
                        ExpectedOutcome(offset, record_outcome, has_event=False)
                    )
                else:
                    expected_outcomes.append(
                        ExpectedOutcome(offset, record_outcome, event.key, event.value)
                    )
            case RecordOutcome.DEAD_LETTER:
                # A dead letter has the key and value of its record, so only the reason is computed.
                reason = next(rejections).reason.value
                expected_outcomes.append(
                    ExpectedOutcome(offset, record_outcome, record.key(), record.value(), reason)
                )
    return expected_outcomes


def _expected_ends(
    outcome: Outcome, records: list[Record], events: Mapping[bytes | None, OutgoingMessage]
) -> list[EpisodeEnd]:
    episode_ends = []
    for closed_episode in outcome.closed:
        end_coordinates = coordinates(records[closed_episode.index])
        event = events[
            f"{structs.replace(end_coordinates, offset=closed_episode.start)}-closed".encode()
        ]
        episode_ends.append(
            EpisodeEnd(closed_episode.start, end_coordinates.offset, event.key, event.value)
        )
    return episode_ends


def _expected_notices(
    events: Mapping[bytes | None, OutgoingMessage],
) -> list[EpisodeNotice]:
    return [
        EpisodeNotice(
            event_id.decode(),
            json.loads(event.value or b"")["source"]["offset"],
            event.key,
            event.value,
        )
        for event_id, event in events.items()
        if event_id is not None
        and (
            event_id.endswith((b"-raised", b"-accepted", b"-back", b"-stale"))
            or b"-silent-" in event_id
        )
    ]


def _account_at_segment(account: Account | None) -> Account | None:
    """Return a new account that begins where the segment of `account` begins."""
    if account is None:
        return None
    return open_account(account.segment_offset, model_version="", fingerprint=account.fingerprint)


def _advance_rescored(
    rescored_account: Account | None,
    account: Account | None,
    records: list[Record],
    outcome: Outcome,
) -> Account | None:
    if rescored_account is None or account is None:
        return None
    offsets = np.array([coordinates(record).offset for record in records], dtype=np.int64)
    in_segment = (offsets >= account.segment_offset) & (offsets < account.next_offset)
    return advance_account(
        rescored_account,
        offsets=offsets[in_segment],
        kinds=outcome.kinds[in_segment],
        reasons=outcome.reasons[in_segment],
        score_bits=outcome.score_bits[in_segment],
        model_version="",
    )


def ledger_records_of(ledger: Sequence[LedgerRecord], partition: Partition) -> list[LedgerRecord]:
    """Return the ledger records of one input partition, in order."""
    return [
        record
        for record in ledger
        if (record.topic, record.partition) == (partition.topic, partition.number)
    ]
