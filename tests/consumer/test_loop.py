"""The steps of a micro-batch, with failures, a new champion and the breaker."""

from dataclasses import replace

import pytest

from sensorwatch.common.errors import (
    BreakerOpen,
    Fenced,
    MicroBatchAborted,
    OutcomeUnknown,
    SensorwatchError,
    Unrecoverable,
)
from sensorwatch.common.kafka.records import OutgoingMessage
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.status import Status
from tests.consumer import fakes
from tests.consumer.fakes import TOPIC, ConsumeStep, FakeConsumer
from tests.consumer.rig import NEWER, OLDER, THREE_RECORDS, ZERO, Rig, batch, rows
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.reading_builders import a_detector
from tests.scoring.detectors import a_forecast_detector


def test_a_micro_batch_is_published_once_with_all_its_results() -> None:
    rig = Rig(*batch(*THREE_RECORDS)).with_opened_account()

    rig.run()

    ((messages, commits),) = rig.outbox.published
    # The ledger record is that of the first snapshot.
    assert [message.topic for message in messages] == ["anomalies", "sensors.dlq", "g.ledger"]
    assert [(commit.partition, commit.next_offset) for commit in commits] == [(ZERO, 3)]
    account = rig.accounts.by_partition[ZERO]
    assert (account.consumed, account.normal, account.anomalies, account.dead_letters) == (
        3,
        1,
        1,
        1,
    )
    assert rig.metric("records_consumed_total", topic=TOPIC) == 3
    assert rig.metric("transactions_total", outcome="committed") == 1


def results(messages: list[OutgoingMessage]) -> list[OutgoingMessage]:
    """Return the messages without ledger records, which contain the offsets of snapshots."""
    return [message for message in messages if message.topic != "g.ledger"]


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [(MicroBatchAborted("injected"), "aborted"), (OutcomeUnknown("injected"), "unknown")],
)
def test_nothing_advances_without_a_commit_and_the_micro_batch_is_read_again(
    failure: SensorwatchError, outcome: str
) -> None:
    seen: list[tuple[int, float | None]] = []

    def look(_consumer: FakeConsumer) -> list[StoredRecord]:
        seen.append((rig.accounts.by_partition[ZERO].consumed, rig.metric("rows_scored_total")))
        return rows(*THREE_RECORDS)[:1]

    rig = Rig(
        *batch(*THREE_RECORDS), look, rows(*THREE_RECORDS)[1:], [], failures=[failure]
    ).with_opened_account()

    rig.run()

    assert seen == [(0, 0)]
    assert rig.consumer.sought == [(0, 0)]
    assert rig.metric("transactions_total", outcome=outcome) == 1
    assert rig.metric("rows_scored_total") == 2
    first, second = (results(messages) for messages in rig.outbox.tried)
    assert [(m.key, m.value) for m in first] == [(m.key, m.value) for m in second]
    assert rig.accounts.by_partition[ZERO].consumed == 3


def test_a_micro_batch_with_an_unknown_outcome_that_was_committed_is_not_repeated() -> None:
    """The committed offset, read again, shows the commit."""
    rig = Rig(*batch(*THREE_RECORDS), failures=[OutcomeUnknown("injected")]).with_opened_account()
    done = Rig(*batch(*THREE_RECORDS)).with_opened_account()
    done.run()
    (commit,) = done.outbox.published[0][1]
    rig.consumer.commit_offset(0, commit.next_offset, commit.metadata)

    rig.run()

    assert rig.consumer.sought == [(0, 3)]
    assert rig.accounts.by_partition[ZERO] == done.accounts.by_partition[ZERO]


@pytest.mark.parametrize("kind", [MicroBatchAborted, OutcomeUnknown])
def test_failures_in_a_row_without_a_commit_end_the_process(kind: type[SensorwatchError]) -> None:
    """For example after an output topic was deleted; a restart names it."""
    failures = [kind("_TIMED_OUT, injected")] * 9
    steps = batch(*THREE_RECORDS) * 9
    rig = Rig(*steps, failures=failures, clock_step_seconds=2.0).with_opened_account()

    with pytest.raises(Unrecoverable, match=r"5 micro-batches in a row.*_TIMED_OUT, injected"):
        rig.run()

    assert len(rig.outbox.tried) == 5


def test_many_failures_within_a_second_are_waited_for() -> None:
    """A moving coordinator refuses many micro-batches within a second."""
    failures = [MicroBatchAborted("injected")] * 10
    rig = Rig(*batch(*THREE_RECORDS) * 11, failures=failures).with_opened_account()

    rig.run()

    assert len(rig.outbox.tried) == 11
    assert rig.accounts.by_partition[ZERO].consumed == 3
    assert rig.consumer.paused == []


def test_failures_with_commits_in_between_never_end_the_process() -> None:
    failures: list[SensorwatchError | None] = [*[MicroBatchAborted("injected")] * 4, None]
    steps = [
        step for first in (0, 3, 6) for step in batch(*THREE_RECORDS, first=first) * len(failures)
    ]
    rig = Rig(*steps, failures=failures * 3).with_opened_account()

    rig.run()

    assert len(rig.outbox.tried) == 15
    assert rig.metric("transactions_total", outcome="aborted") == 12


def test_the_worker_is_not_ready_from_the_second_failure_in_a_row_to_the_next_commit() -> None:
    ready: list[str | None] = []

    def look(_consumer: FakeConsumer) -> list[StoredRecord]:
        ready.append(rig.observation.not_ready_reason())
        return rows(*THREE_RECORDS)[:1]

    def nothing(_consumer: FakeConsumer) -> list[StoredRecord]:
        ready.append(rig.observation.not_ready_reason())
        return []

    again: list[ConsumeStep] = [look, rows(*THREE_RECORDS)[1:], []]
    failures = [MicroBatchAborted("injected")] * 2
    # Each reading of the clock adds a second, so the pause after the second failure ends at once.
    rig = Rig(*again * 3, nothing, failures=failures, clock_step_seconds=1.0).with_opened_account()

    rig.run()

    assert ready[:2] == [None, None]
    assert ready[2] == "2 micro-batches in a row not committed: injected"
    assert ready[3] is None


@pytest.mark.parametrize("error", [Fenced("injected"), Unrecoverable("injected")], ids=str)
def test_other_errors_are_raised(error: SensorwatchError) -> None:
    rig = Rig(*batch(*THREE_RECORDS), failures=[error]).with_opened_account()

    with pytest.raises(type(error)):
        rig.run()

    assert rig.accounts.by_partition[ZERO].consumed == 0


def test_without_records_nothing_is_published() -> None:
    rig = Rig([], [], []).with_opened_account()

    rig.run()

    assert rig.outbox.tried == []


def test_a_new_partition_without_records_is_committed() -> None:
    def rebalance(consumer: FakeConsumer) -> list[StoredRecord]:
        consumer.assign_partitions(1)
        return []

    rig = Rig(rebalance, []).with_opened_account()

    rig.run()

    ((messages, commits),) = rig.outbox.published
    assert [message.topic for message in messages] == ["g.ledger"]
    assert [commit.partition.number for commit in commits] == [1]


def test_a_worker_that_is_not_a_member_commits_nothing() -> None:
    rig = Rig(*batch(*THREE_RECORDS)).with_opened_account()
    lost = fakes.MEMBERSHIP.replace(b"\x01\x00\x00\x00", b"\xff\xff\xff\xff")
    rig.consumer.consumer_group_metadata = lambda: lost  # type: ignore[method-assign]  # a lost membership

    rig.run()

    assert rig.outbox.tried == []
    assert rig.consumer.sought == [(0, 0)]


def test_a_new_champion_is_used_from_the_next_micro_batch_on() -> None:
    rig = Rig(
        *batch(*THREE_RECORDS), *batch(*THREE_RECORDS, first=3), swap_at=1, clock_step_seconds=0.2
    ).with_opened_account()

    rig.run()

    versions = {
        message.value.split(b'"model_version":"')[1].split(b'"')[0].decode()
        for messages, _ in rig.outbox.published
        for message in messages
        if message.topic == "anomalies" and message.value
    }
    assert rig.champion.refreshed >= 1
    assert versions <= {a_detector().version, NEWER}
    assert rig.accounts.by_partition[ZERO].model_version == NEWER


def a_row(minute: int, x1: float = 0.1) -> bytes:
    hour = f"{minute // 60:02}:{minute % 60:02}"
    return a_payload((x1, 0.0, -0.2), sensor_id="s0", timestamp=f"2024-12-31T{hour}:00Z")


def test_rows_are_counted_by_status_and_each_closed_episode_is_counted_once() -> None:
    """The gap closes the episode of the fault."""
    minutes = [0, 2, 4, 6, 8, 8, 8, 8, 7, 5, 3, 1]
    after_a_gap = 20 * 60
    values = [*map(a_row, minutes), a_row(10, x1=30.0), a_row(after_a_gap)]

    def version(name: str = OLDER) -> Detector:
        return replace(a_forecast_detector(), version=name)

    rig = Rig(*batch(*values), detector=version).with_opened_account()

    rig.run()

    counted = {status: rig.metric("rows_by_status_total", status=status) for status in Status}
    assert counted == {
        Status.WARMING_UP: 2,
        Status.SCORED: 4,
        Status.DUPLICATE: 3,
        Status.LATE: 4,
        Status.GAP: 1,
    }
    assert rig.metric("episodes_closed_total") == 1


POISON = (b"poison",) * 12


def test_an_open_breaker_pauses_commits_nothing_and_ends_the_worker_after_the_grace_time() -> None:
    rig = Rig(*batch(*POISON), clock_step_seconds=0.05).with_opened_account()

    with pytest.raises(BreakerOpen, match="10 of the last 10"):
        rig.run(lambda: False)

    assert rig.outbox.tried == []
    assert rig.consumer.paused == [0]
    assert rig.metric("breaker_open") == 1
    assert rig.observation.not_ready_reason() is not None
    assert rig.now >= 2


def test_a_new_champion_closes_the_breaker_and_the_batch_is_read_again() -> None:
    rig = Rig(*batch(*POISON), [], *batch(*THREE_RECORDS), swap_at=2).with_opened_account()

    rig.run()

    assert rig.consumer.paused == []
    assert rig.consumer.sought == [(0, 0)]
    assert rig.metric("breaker_open") == 0
    assert rig.accounts.by_partition[ZERO].model_version == NEWER


def test_a_worker_with_an_open_breaker_can_be_stopped() -> None:
    rig = Rig(*batch(*POISON), [], []).with_opened_account()

    rig.run()

    assert rig.outbox.tried == []
