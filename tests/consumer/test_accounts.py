"""The committed offsets decide whether a partition's account is new, continued or refused."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from sensorwatch.common.errors import BrokerUnavailable, OffsetsLost, StateRefused
from sensorwatch.common.kafka.ledger_text import to_metadata
from sensorwatch.common.kafka.ledger_topic import GroupHistory
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.ledger.account import Account, open_account
from sensorwatch.common.runtime.setting_choices import StartPosition
from sensorwatch.consumer.accounts import Accounts
from tests.consumer.fakes import TOPIC, FakeConsumer, partition_with_error

PARTITION_0, PARTITION_1 = Partition(TOPIC, 0), Partition(TOPIC, 1)
FIRST_COMMIT_MS = 1_735_689_600_000
RETRY_SECONDS = 60.0


class SteppingClock:
    """A clock that advances five seconds at each reading."""

    def __init__(self) -> None:
        self.now = 0.0

    def read(self) -> float:
        self.now += 5.0
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def accounts_of(
    consumer: FakeConsumer,
    *,
    start: StartPosition = StartPosition.EARLIEST,
    committed_partitions: Sequence[Partition] = (),
) -> Accounts:
    clock = SteppingClock()
    history = GroupHistory(
        frozenset(committed_partitions), FIRST_COMMIT_MS if committed_partitions else None
    )
    return Accounts(
        consumer.as_client(),
        start=start,
        window_rows=100,
        fingerprint="f",
        history=lambda: history,
        retry=RetryPolicy(RETRY_SECONDS, clock=clock.read, sleep=clock.sleep),
    )


def commit_account(consumer: FakeConsumer, partition: int = 0, offset: int = 40) -> Account:
    account = open_account(offset, model_version="m", fingerprint="f", window_rows=100)
    consumer.commit_offset(partition, offset, to_metadata(account))
    return account


@pytest.mark.parametrize("start", StartPosition)
def test_a_committed_account_continues_with_any_start_setting(start: StartPosition) -> None:
    consumer = FakeConsumer()
    account = commit_account(consumer)
    accounts = accounts_of(consumer, start=start, committed_partitions=[PARTITION_0])

    assert accounts.load([PARTITION_0]) == {PARTITION_0: 40}
    assert accounts.by_partition == {PARTITION_0: account}
    assert accounts.unopened_partitions == frozenset()


def test_an_account_gets_the_window_size_of_the_settings() -> None:
    consumer = FakeConsumer()
    account = open_account(40, model_version="m", fingerprint="f", window_rows=5_000)
    consumer.commit_offset(0, 40, to_metadata(account))
    accounts = accounts_of(consumer)

    accounts.load([PARTITION_0])

    assert accounts.by_partition == {PARTITION_0: replace(account, window_bucket_rows=10)}
    accounts.reload()
    assert accounts.by_partition == {PARTITION_0: replace(account, window_bucket_rows=10)}


@pytest.mark.parametrize(
    ("start", "offset"), [(StartPosition.EARLIEST, 3), (StartPosition.LATEST, 90)]
)
def test_a_partition_without_an_offset_starts_at_the_start_setting(
    start: StartPosition, offset: int
) -> None:
    accounts = accounts_of(FakeConsumer(), start=start)

    assert accounts.load([PARTITION_0]) == {PARTITION_0: offset}
    assert accounts.by_partition[PARTITION_0].first_offset == offset
    assert accounts.unopened_partitions == {PARTITION_0}


@pytest.mark.parametrize(
    ("start", "offset"),
    [(StartPosition.EARLIEST, 3), (StartPosition.LATEST, 70)],
    ids=["earliest", "latest"],
)
def test_a_partition_added_to_a_running_group_skips_no_new_record(
    start: StartPosition, offset: int
) -> None:
    """With `latest` the partition starts at its first record after the group's first commit."""
    consumer = FakeConsumer()
    consumer.offsets_by_time = {FIRST_COMMIT_MS: 70}
    accounts = accounts_of(consumer, start=start, committed_partitions=[PARTITION_1])

    assert accounts.load([PARTITION_0]) == {PARTITION_0: offset}


def test_start_error_refuses_a_partition_without_an_offset() -> None:
    with pytest.raises(OffsetsLost, match="reset-offsets"):
        accounts_of(FakeConsumer(), start=StartPosition.ERROR).load([PARTITION_0])


@pytest.mark.parametrize("start", StartPosition)
def test_a_group_that_lost_its_offsets_is_refused(start: StartPosition) -> None:
    with pytest.raises(OffsetsLost, match="ledger restore"):
        accounts_of(FakeConsumer(), start=start, committed_partitions=[PARTITION_0]).load(
            [PARTITION_0]
        )


@pytest.mark.parametrize("offset", [12, 41])
@pytest.mark.parametrize("metadata", ["", "of another program", None])
def test_an_offset_set_by_another_program_is_refused(offset: int, metadata: str | None) -> None:
    """No memory belongs to this offset, so rows would be scored with wrong lagged rows."""
    consumer = FakeConsumer()
    own_metadata = to_metadata(commit_account(consumer, offset=40))
    consumer.commit_offset(0, offset, own_metadata if metadata is None else metadata)
    accounts = accounts_of(consumer, committed_partitions=[PARTITION_0])

    with pytest.raises(StateRefused, match=f"offset {offset} of sensors-0.*state reset"):
        accounts.load([PARTITION_0])

    assert accounts.by_partition == {}


def test_a_changed_offset_is_refused_when_accounts_are_reloaded() -> None:
    consumer = FakeConsumer()
    account = commit_account(consumer)
    accounts = accounts_of(consumer)
    accounts.load([PARTITION_0])
    consumer.commit_offset(0, 12, to_metadata(account))

    with pytest.raises(StateRefused, match="state reset"):
        accounts.reload()


def test_a_commit_opens_an_account_and_advances_it() -> None:
    accounts = accounts_of(FakeConsumer())
    accounts.load([PARTITION_0, PARTITION_1])
    new_account = open_account(50, model_version="m", fingerprint="f")

    accounts.advance({PARTITION_0: new_account})

    assert accounts.by_partition[PARTITION_0] == new_account
    assert accounts.unopened_partitions == {PARTITION_1}


def test_revoked_partitions_are_removed() -> None:
    accounts = accounts_of(FakeConsumer())
    accounts.load([PARTITION_0, PARTITION_1])

    accounts.forget([PARTITION_0, Partition(TOPIC, 9)])

    assert set(accounts.by_partition) == set(accounts.unopened_partitions) == {PARTITION_1}


def test_reloading_reads_the_accounts_from_the_broker() -> None:
    """After an unknown outcome only the broker knows whether the transaction was committed."""
    consumer = FakeConsumer()
    accounts = accounts_of(consumer)
    accounts.load([PARTITION_0, PARTITION_1])
    account = commit_account(consumer, 0, 77)

    assert accounts.reload() == {PARTITION_0: 77, PARTITION_1: 3}
    assert accounts.by_partition[PARTITION_0] == account
    assert accounts.unopened_partitions == {PARTITION_1}


def test_offsets_that_are_deleted_while_running_are_refused() -> None:
    consumer = FakeConsumer()
    commit_account(consumer)
    accounts = accounts_of(consumer)
    accounts.load([PARTITION_0])
    consumer.offsets.clear()

    with pytest.raises(OffsetsLost):
        accounts.reload()


def test_a_request_to_a_moving_coordinator_is_repeated() -> None:
    """The error is not marked `retriable`: the client marks only errors of transactional calls."""
    consumer = FakeConsumer()
    account = commit_account(consumer)
    error_codes = [
        KafkaError.NOT_COORDINATOR,
        KafkaError._TIMED_OUT,
        KafkaError.UNSTABLE_OFFSET_COMMIT,
    ]
    consumer.committed_failures = [KafkaException(KafkaError(code)) for code in error_codes]
    accounts = accounts_of(consumer)

    accounts.load([PARTITION_0])

    assert accounts.by_partition == {PARTITION_0: account}
    assert consumer.committed_calls == 4


def test_a_repeated_request_ends_at_the_deadline() -> None:
    consumer = FakeConsumer()
    consumer.committed_failures = [KafkaException(KafkaError(KafkaError._TIMED_OUT))] * 100

    with pytest.raises(BrokerUnavailable, match="committed offsets"):
        accounts_of(consumer).load([PARTITION_0])

    assert consumer.committed_calls <= RETRY_SECONDS / 5 + 2


def test_a_refused_request_is_not_repeated() -> None:
    consumer = FakeConsumer()
    refusal_error = KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))
    consumer.committed_failures = [refusal_error] * 2

    with pytest.raises(BrokerUnavailable):
        accounts_of(consumer).load([PARTITION_0])

    assert consumer.committed_calls == 1


def test_an_error_for_one_partition_does_not_count_as_a_missing_offset() -> None:
    consumer = FakeConsumer()
    refusal_error = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    consumer.offsets[0] = partition_with_error(TopicPartition(TOPIC, 0), refusal_error)

    with pytest.raises(BrokerUnavailable):
        accounts_of(consumer).load([PARTITION_0])


LEADER_ERRORS = [
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._DESTROY_BROKER,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
]
"""Errors that a request about a partition can have while the partition has no leader."""


@pytest.mark.parametrize("code", LEADER_ERRORS)
def test_a_request_waits_for_a_leader_that_is_unavailable_for_a_short_time(code: int) -> None:
    consumer = FakeConsumer()
    consumer.watermark_failures = [KafkaException(KafkaError(code))] * 3
    accounts = accounts_of(consumer)

    assert accounts.load([PARTITION_0]) == {PARTITION_0: 3}
    assert consumer.watermark_failures == []
    assert consumer.metadata_reads == 3, "without new metadata the client asks the old leader again"


def test_the_error_for_a_leader_that_stays_unavailable_names_the_partition() -> None:
    consumer = FakeConsumer()
    consumer.watermark_failures = [KafkaException(KafkaError(LEADER_ERRORS[0]))] * 100

    with pytest.raises(BrokerUnavailable, match="offsets of sensors-0 cannot be read"):
        accounts_of(consumer).load([PARTITION_0])


def test_after_an_error_a_time_lookup_is_repeated() -> None:
    """An error has a negative offset, like the answer for a time after the last record."""
    consumer = FakeConsumer()
    consumer.offsets_by_time = {FIRST_COMMIT_MS: 70}
    consumer.time_errors = [KafkaError(KafkaError.LEADER_NOT_AVAILABLE)] * 2
    accounts = accounts_of(consumer, start=StartPosition.LATEST, committed_partitions=[PARTITION_1])

    assert accounts.load([PARTITION_0]) == {PARTITION_0: 70}
