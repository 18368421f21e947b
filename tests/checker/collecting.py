"""Collects the history of a run from a real broker."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache

from confluent_kafka import Consumer, IsolationLevel, KafkaException, TopicPartition

from sensorwatch.common.kafka.broker_errors import is_transient
from sensorwatch.common.kafka.ledger_text import LedgerRecord, from_metadata, ledger_record
from sensorwatch.common.kafka.records import Partition, Record
from sensorwatch.common.ledger.account import Account
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.runtime.setting_choices import EmittedEvents
from sensorwatch.common.scoring.detector import Detector
from tests.brokers.child_processes import DeadlineMissed, wait_until
from tests.brokers.cluster import OFFSETS_TOPIC, partition_of_name
from tests.checker.rescoring import ledger_records_of, rescore
from tests.checker.run_history import (
    EndOffsets,
    FinalAccount,
    History,
    InputPartition,
    ReaderOutput,
)
from tests.checker.topic_reader import (
    committed_ends,
    end_offsets,
    parse_dead_letter,
    parse_event,
    partitions_of,
    read_committed,
)


@dataclass(frozen=True, slots=True)
class Run:
    """The broker address, group, topics and model versions of a run of the consumer."""

    address: str
    group: str
    readings: str
    anomalies: str
    dead_letters: str
    ledger: str
    detectors: Mapping[str, Detector]
    """The detector of each model version that scored records, by version id."""
    emit: EmittedEvents = EmittedEvents.ROWS
    policies: Mapping[str, AlarmPolicy] = field(default_factory=dict)
    """The policies that were in force, by their ids."""


def collect_history(
    run: Run,
    output_during_run: ReaderOutput,
    *,
    required_offsets: Mapping[Partition, int] | None = None,
    settle_seconds: float = 45,
) -> History:
    """Return the history of a run whose consumers have all ended.

    `output_during_run` is the result of a ConcurrentReader. `required_offsets` has the offset that
    the group had to commit for each partition, for example from `input_ends`. A dead consumer may
    leave a transaction open until its timeout; the call waits at most `settle_seconds` for that.
    """
    output_ends = _ends_after_transactions(run, settle_seconds)
    ledger = [ledger_record(message.value()) for message in read_committed(run.address, run.ledger)]
    records = _records_by_partition(run)
    accounts = committed_accounts(run)
    inputs = tuple(
        _input_partition(
            run,
            partition,
            records[partition],
            accounts[partition],
            ledger,
            (required_offsets or {}).get(partition),
        )
        for partition in sorted(records)
    )
    output_after_run = ReaderOutput(
        tuple(parse_event(message) for message in read_committed(run.address, run.anomalies)),
        tuple(
            parse_dead_letter(message) for message in read_committed(run.address, run.dead_letters)
        ),
    )
    return History(inputs, output_after_run, output_during_run, output_ends)


def input_ends(run: Run) -> dict[Partition, int]:
    """Return the end offset of each input partition."""
    return committed_ends(run.address, run.readings)


def wait_drained(run: Run, *, deadline: float) -> None:
    """Wait until the group has committed the current end of every input partition."""
    output_ends = input_ends(run)
    wait_until(
        lambda: committed_offsets(run) == output_ends,
        deadline=deadline,
        what=f"{run.group} to commit {output_ends}",
        every=0.1,
    )


def committed_offsets(run: Run) -> dict[Partition, int]:
    """Return the committed offset of each input partition; 0 means no committed offset."""
    return {partition: offset or 0 for partition, (offset, _) in committed_accounts(run).items()}


def committed_accounts(run: Run) -> dict[Partition, tuple[int | None, Account | None]]:
    """Return each input partition's committed offset, and the account in its metadata."""
    offsets = wait_until(
        lambda: _try_committed_offsets(run), deadline=60, what="stable committed offsets"
    )
    return {
        Partition(committed_offset.topic, committed_offset.partition): (
            (
                committed_offset.offset,
                from_metadata(committed_offset.metadata, committed_offset.offset),
            )
            if committed_offset.offset >= 0
            else (None, None)
        )
        for committed_offset in offsets
    }


def _try_committed_offsets(run: Run) -> list[TopicPartition] | None:
    client = _offset_reader(run.address, run.group)
    try:
        topic_metadata = client.list_topics(run.readings, timeout=10).topics[run.readings]
        partitions = [
            TopicPartition(run.readings, number) for number in sorted(topic_metadata.partitions)
        ]
        return list(client.committed(partitions, timeout=10))
    except KafkaException as error:
        if is_transient(error.args[0]):
            return None
        raise


@lru_cache(maxsize=1)
def _offset_reader(address: str, group: str) -> Consumer:
    """Return a client that reads the offsets of a group without joining it.

    The newest client is kept, because a new one needs 0.1 s for its connections.
    """
    config = {"bootstrap.servers": address, "group.id": group, "log_level": 0}
    # With read_committed the client waits for open transactions that contain offsets.
    return Consumer(
        {**config, "isolation.level": "read_committed", "reconnect.backoff.max.ms": 500}
    )


def _records_by_partition(run: Run) -> dict[Partition, list[Record]]:
    records: dict[Partition, list[Record]] = {
        partition: [] for partition in partitions_of(run.address, run.readings)
    }
    for message in read_committed(run.address, run.readings):
        records[Partition(run.readings, message.partition() or 0)].append(message)
    return records


def _input_partition(
    run: Run,
    partition: Partition,
    records: Sequence[Record],
    committed_account: tuple[int | None, Account | None],
    ledger: Sequence[LedgerRecord],
    required_offset: int | None,
) -> InputPartition:
    offset, account = committed_account
    expected_output = rescore(
        records,
        account,
        ledger_records_of(ledger, partition),
        run.detectors,
        run.emit,
        run.policies,
    )
    return InputPartition(
        partition,
        expected_output.expected_outcomes,
        offset,
        None if account is None else _final_account(account),
        expected_output.digest,
        required_offset,
        expected_output.episode_ends,
        expected_output.notices,
    )


def _final_account(account: Account) -> FinalAccount:
    return FinalAccount(
        account.next_offset,
        account.consumed,
        account.normal,
        account.anomalies,
        account.dead_letters,
        account.digest,
        account.first_offset,
        account.absorbed,
        account.rows,
    )


def _ends_after_transactions(run: Run, seconds: float) -> tuple[EndOffsets, ...]:
    """Wait at most `seconds` for open transactions to end; then return the end offsets."""
    topics = (run.anomalies, run.dead_letters, run.ledger)
    partitions = [partition for topic in topics for partition in partitions_of(run.address, topic)]
    partitions.append(_partition_of_group(run))
    with suppress(DeadlineMissed):  # the checker reports a transaction that is still open
        wait_until(
            lambda: all(
                end.read_committed == end.read_uncommitted for end in _current_ends(run, partitions)
            ),
            deadline=seconds,
            what="open transactions to end",
            every=0.2,
        )
    return _current_ends(run, partitions)


def _current_ends(run: Run, partitions: Sequence[Partition]) -> tuple[EndOffsets, ...]:
    stable_offsets = end_offsets(run.address, partitions, IsolationLevel.READ_COMMITTED)
    high_watermarks = end_offsets(run.address, partitions, IsolationLevel.READ_UNCOMMITTED)
    return tuple(
        EndOffsets(partition, stable_offsets[partition], high_watermarks[partition])
        for partition in partitions
    )


def _partition_of_group(run: Run) -> Partition:
    """Return the partition of `__consumer_offsets` that stores the offsets of the group."""
    count = len(partitions_of(run.address, OFFSETS_TOPIC))
    return partition_of_name(OFFSETS_TOPIC, run.group, count)
