"""Accounts are opened, continued or refused, depending on the committed offsets."""

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
from tests.consumer.fakes import TOPIC, FakeConsumer, with_error

ZERO, ONE = Partition(TOPIC, 0), Partition(TOPIC, 1)
SINCE = 1_735_689_600_000
RETRY_SECONDS = 60.0


class Clock:
    """A clock that advances five seconds per reading."""

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
    has_run: Sequence[Partition] = (),
) -> Accounts:
    clock = Clock()
    history = GroupHistory(frozenset(has_run), SINCE if has_run else None)
    return Accounts(
        consumer.as_client(),
        start=start,
        window_rows=100,
        fingerprint="f",
        history=lambda: history,
        retry=RetryPolicy(RETRY_SECONDS, clock=clock.read, sleep=clock.sleep),
    )


def a_committed(consumer: FakeConsumer, partition: int = 0, offset: int = 40) -> Account:
    account = open_account(offset, model_version="m", fingerprint="f", window_rows=100)
    consumer.commit_offset(partition, offset, to_metadata(account))
    return account


@pytest.mark.parametrize("start", StartPosition)
def test_a_committed_account_continues_with_any_start_setting(start: StartPosition) -> None:
    consumer = FakeConsumer()
    account = a_committed(consumer)
    accounts = accounts_of(consumer, start=start, has_run=[ZERO])

    assert accounts.load([ZERO]) == {ZERO: 40}
    assert accounts.by_partition == {ZERO: account}
    assert accounts.unopened == frozenset()


def test_an_account_with_another_window_size_gets_the_size_of_the_settings() -> None:
    consumer = FakeConsumer()
    account = open_account(40, model_version="m", fingerprint="f", window_rows=5_000)
    consumer.commit_offset(0, 40, to_metadata(account))
    accounts = accounts_of(consumer)

    accounts.load([ZERO])

    assert accounts.by_partition == {ZERO: replace(account, window_bucket_rows=10)}
    accounts.reload()
    assert accounts.by_partition == {ZERO: replace(account, window_bucket_rows=10)}


@pytest.mark.parametrize(
    ("start", "offset"), [(StartPosition.EARLIEST, 3), (StartPosition.LATEST, 90)]
)
def test_a_partition_without_an_offset_starts_at_the_start_setting(
    start: StartPosition, offset: int
) -> None:
    accounts = accounts_of(FakeConsumer(), start=start)

    assert accounts.load([ZERO]) == {ZERO: offset}
    assert accounts.by_partition[ZERO].first_offset == offset
    assert accounts.unopened == {ZERO}


@pytest.mark.parametrize(
    ("start", "offset"),
    [(StartPosition.EARLIEST, 3), (StartPosition.LATEST, 70)],
    ids=["earliest", "latest"],
)
def test_a_partition_added_to_a_running_group_skips_no_new_record(
    start: StartPosition, offset: int
) -> None:
    """With `latest` it starts at the time of the group's first commit."""
    consumer = FakeConsumer()
    consumer.offsets_by_time = {SINCE: 70}
    accounts = accounts_of(consumer, start=start, has_run=[ONE])

    assert accounts.load([ZERO]) == {ZERO: offset}


def test_start_error_refuses_a_partition_without_an_offset() -> None:
    with pytest.raises(OffsetsLost, match="reset-offsets"):
        accounts_of(FakeConsumer(), start=StartPosition.ERROR).load([ZERO])


@pytest.mark.parametrize("start", StartPosition)
def test_a_group_that_lost_its_offsets_is_refused(start: StartPosition) -> None:
    with pytest.raises(OffsetsLost, match="ledger restore"):
        accounts_of(FakeConsumer(), start=start, has_run=[ZERO]).load([ZERO])


@pytest.mark.parametrize("offset", [12, 41])
@pytest.mark.parametrize("metadata", ["", "of another program", None])
def test_an_offset_set_by_another_program_is_refused(offset: int, metadata: str | None) -> None:
    """There is no memory for this offset, so rows would be scored with other previous rows."""
    consumer = FakeConsumer()
    own = to_metadata(a_committed(consumer, offset=40))
    consumer.commit_offset(0, offset, own if metadata is None else metadata)
    accounts = accounts_of(consumer, has_run=[ZERO])

    with pytest.raises(StateRefused, match=f"offset {offset} of sensors-0.*state reset"):
        accounts.load([ZERO])

    assert accounts.by_partition == {}


def test_an_offset_changed_while_running_is_refused() -> None:
    consumer = FakeConsumer()
    account = a_committed(consumer)
    accounts = accounts_of(consumer)
    accounts.load([ZERO])
    consumer.commit_offset(0, 12, to_metadata(account))

    with pytest.raises(StateRefused, match="state reset"):
        accounts.reload()


def test_a_commit_opens_an_account_and_advances_it() -> None:
    accounts = accounts_of(FakeConsumer())
    accounts.load([ZERO, ONE])
    moved = open_account(50, model_version="m", fingerprint="f")

    accounts.advance({ZERO: moved})

    assert accounts.by_partition[ZERO] == moved
    assert accounts.unopened == {ONE}


def test_revoked_partitions_are_removed() -> None:
    accounts = accounts_of(FakeConsumer())
    accounts.load([ZERO, ONE])

    accounts.forget([ZERO, Partition(TOPIC, 9)])

    assert set(accounts.by_partition) == set(accounts.unopened) == {ONE}


def test_reloading_takes_the_accounts_of_the_broker() -> None:
    """After an unknown outcome only the broker knows whether the transaction was committed."""
    consumer = FakeConsumer()
    accounts = accounts_of(consumer)
    accounts.load([ZERO, ONE])
    account = a_committed(consumer, 0, 77)

    assert accounts.reload() == {ZERO: 77, ONE: 3}
    assert accounts.by_partition[ZERO] == account
    assert accounts.unopened == {ONE}


def test_offsets_that_are_deleted_while_running_are_refused() -> None:
    consumer = FakeConsumer()
    a_committed(consumer)
    accounts = accounts_of(consumer)
    accounts.load([ZERO])
    consumer.offsets.clear()

    with pytest.raises(OffsetsLost):
        accounts.reload()


def test_a_request_to_a_moving_coordinator_is_repeated() -> None:
    """These errors have no `retriable` flag: the client sets it in transactional calls only."""
    consumer = FakeConsumer()
    account = a_committed(consumer)
    codes = [KafkaError.NOT_COORDINATOR, KafkaError._TIMED_OUT, KafkaError.UNSTABLE_OFFSET_COMMIT]
    consumer.failures = [KafkaException(KafkaError(code)) for code in codes]
    accounts = accounts_of(consumer)

    accounts.load([ZERO])

    assert accounts.by_partition == {ZERO: account}
    assert consumer.committed_calls == 4


def test_requests_end_at_the_deadline() -> None:
    consumer = FakeConsumer()
    consumer.failures = [KafkaException(KafkaError(KafkaError._TIMED_OUT))] * 100

    with pytest.raises(BrokerUnavailable, match="committed offsets"):
        accounts_of(consumer).load([ZERO])

    assert consumer.committed_calls <= RETRY_SECONDS / 5 + 2


def test_a_refused_request_is_not_repeated() -> None:
    consumer = FakeConsumer()
    refused = KafkaException(KafkaError(KafkaError.GROUP_AUTHORIZATION_FAILED))
    consumer.failures = [refused] * 2

    with pytest.raises(BrokerUnavailable):
        accounts_of(consumer).load([ZERO])

    assert consumer.committed_calls == 1


def test_an_error_for_one_partition_is_not_taken_for_no_offset() -> None:
    consumer = FakeConsumer()
    refused = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED)
    consumer.offsets[0] = with_error(TopicPartition(TOPIC, 0), refused)

    with pytest.raises(BrokerUnavailable):
        accounts_of(consumer).load([ZERO])


AWAY = [
    KafkaError._UNKNOWN_PARTITION,
    KafkaError._DESTROY_BROKER,
    KafkaError.LEADER_NOT_AVAILABLE,
    KafkaError.NOT_LEADER_FOR_PARTITION,
    KafkaError.UNKNOWN_TOPIC_OR_PART,
]
"""Errors of a request about a partition while the leader is unavailable."""


@pytest.mark.parametrize("code", AWAY)
def test_a_leader_that_is_unavailable_for_a_short_time_is_waited_for(code: int) -> None:
    consumer = FakeConsumer()
    consumer.watermark_failures = [KafkaException(KafkaError(code))] * 3
    accounts = accounts_of(consumer)

    assert accounts.load([ZERO]) == {ZERO: 3}
    assert consumer.watermark_failures == []
    assert consumer.metadata_reads == 3, "otherwise the client asks the old leader again"


def test_the_error_for_a_leader_that_stays_unavailable_names_the_partition() -> None:
    consumer = FakeConsumer()
    consumer.watermark_failures = [KafkaException(KafkaError(AWAY[0]))] * 100

    with pytest.raises(BrokerUnavailable, match="offsets of sensors-0 cannot be read"):
        accounts_of(consumer).load([ZERO])


def test_an_error_of_a_time_lookup_does_not_start_at_the_end() -> None:
    """The answer has the error and a negative offset, which usually means: no such record."""
    consumer = FakeConsumer()
    consumer.offsets_by_time = {SINCE: 70}
    consumer.time_errors = [KafkaError(KafkaError.LEADER_NOT_AVAILABLE)] * 2
    accounts = accounts_of(consumer, start=StartPosition.LATEST, has_run=[ONE])

    assert accounts.load([ZERO]) == {ZERO: 70}
