"""The consumer loop handles micro-batches, failures, new champions and an open breaker."""

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
from sensorwatch.common.kafka.score_records import decode_scores
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.status import Status
from tests.consumer import fakes
from tests.consumer.fakes import TOPIC, ConsumeStep, FakeConsumer
from tests.consumer.rig import (
    NEW_VERSION,
    OLD_VERSION,
    PARTITION_0,
    THREE_PAYLOADS,
    LoopRig,
    batch_steps,
    stored_records,
)
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.reading_builders import a_detector
from tests.scoring.detectors import a_forecast_detector


def test_a_micro_batch_is_published_once_with_all_its_results() -> None:
    rig = LoopRig(*batch_steps(*THREE_PAYLOADS)).with_opened_account()

    rig.run()

    ((messages, commits),) = rig.outbox.published_batches
    # The first commit has a snapshot, which has a ledger record.
    assert [message.topic for message in messages] == ["anomalies", "sensors.dlq", "g.ledger"]
    assert [(commit.partition, commit.next_offset) for commit in commits] == [(PARTITION_0, 3)]
    account = rig.accounts.by_partition[PARTITION_0]
    assert (account.consumed, account.normal, account.anomalies, account.dead_letters) == (
        3,
        1,
        1,
        1,
    )
    assert rig.metric("records_consumed_total", topic=TOPIC) == 3
    assert rig.metric("transactions_total", outcome="committed") == 1


def test_a_score_record_is_published_with_the_results_of_its_micro_batch() -> None:
    rig = LoopRig(*batch_steps(*THREE_PAYLOADS), scores_topic="g.scores").with_opened_account()

    rig.run()

    ((messages, _),) = rig.outbox.published_batches
    topics = [message.topic for message in messages]
    assert topics == ["anomalies", "sensors.dlq", "g.scores", "g.ledger"]
    record = decode_scores(messages[2].value)
    assert (messages[2].key, record.partition) == (str(PARTITION_0).encode(), PARTITION_0)
    assert (record.group, record.model_version) == ("sensorwatch", OLD_VERSION)
    assert record.aggregates.rows.tolist() == [2]
    assert record.aggregates.anomalous_rows.tolist() == [1]


def test_no_score_record_is_published_for_a_micro_batch_without_rows() -> None:
    rig = LoopRig(*batch_steps(b"{", b"["), scores_topic="g.scores").with_opened_account()

    rig.run()

    ((messages, _),) = rig.outbox.published_batches
    assert {message.topic for message in messages} == {"sensors.dlq", "g.ledger"}


def without_ledger_records(messages: list[OutgoingMessage]) -> list[OutgoingMessage]:
    """Return the messages except ledger records.

    Ledger records contain snapshot offsets, which differ between attempts.
    """
    return [message for message in messages if message.topic != "g.ledger"]


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [(MicroBatchAborted("injected"), "aborted"), (OutcomeUnknown("injected"), "unknown")],
)
def test_without_a_commit_no_account_advances_and_the_micro_batch_is_read_again(
    failure: SensorwatchError, outcome: str
) -> None:
    observations: list[tuple[int, float | None]] = []

    def observe(_consumer: FakeConsumer) -> list[StoredRecord]:
        observations.append(
            (rig.accounts.by_partition[PARTITION_0].consumed, rig.metric("rows_scored_total"))
        )
        return stored_records(*THREE_PAYLOADS)[:1]

    rig = LoopRig(
        *batch_steps(*THREE_PAYLOADS),
        observe,
        stored_records(*THREE_PAYLOADS)[1:],
        [],
        failures=[failure],
    ).with_opened_account()

    rig.run()

    assert observations == [(0, 0)]
    assert rig.consumer.seeks == [(0, 0)]
    assert rig.metric("transactions_total", outcome=outcome) == 1
    assert rig.metric("rows_scored_total") == 2
    first_attempt, second_attempt = (
        without_ledger_records(messages) for messages in rig.outbox.attempts
    )
    assert [(m.key, m.value) for m in first_attempt] == [(m.key, m.value) for m in second_attempt]
    assert rig.accounts.by_partition[PARTITION_0].consumed == 3


def test_a_micro_batch_with_an_unknown_outcome_that_was_committed_is_not_repeated() -> None:
    """After the error the worker reads the committed offset, which has advanced."""
    rig = LoopRig(
        *batch_steps(*THREE_PAYLOADS), failures=[OutcomeUnknown("injected")]
    ).with_opened_account()
    reference_rig = LoopRig(*batch_steps(*THREE_PAYLOADS)).with_opened_account()
    reference_rig.run()
    (commit,) = reference_rig.outbox.published_batches[0][1]
    rig.consumer.commit_offset(0, commit.next_offset, commit.metadata)

    rig.run()

    assert rig.consumer.seeks == [(0, 3)]
    assert (
        rig.accounts.by_partition[PARTITION_0] == reference_rig.accounts.by_partition[PARTITION_0]
    )


@pytest.mark.parametrize("failure_class", [MicroBatchAborted, OutcomeUnknown])
def test_failures_in_a_row_without_a_commit_end_the_process(
    failure_class: type[SensorwatchError],
) -> None:
    """For example, after an output topic is deleted, only a restarted worker reports its name."""
    failures = [failure_class("_TIMED_OUT, injected")] * 9
    steps = batch_steps(*THREE_PAYLOADS) * 9
    rig = LoopRig(*steps, failures=failures, clock_step_seconds=2.0).with_opened_account()

    with pytest.raises(Unrecoverable, match=r"5 micro-batches in a row.*_TIMED_OUT, injected"):
        rig.run()

    assert len(rig.outbox.attempts) == 5


def test_many_failures_within_a_second_do_not_end_the_process() -> None:
    """While a coordinator moves to another broker, it may refuse many micro-batches in a second."""
    failures = [MicroBatchAborted("injected")] * 10
    rig = LoopRig(*batch_steps(*THREE_PAYLOADS) * 11, failures=failures).with_opened_account()

    rig.run()

    assert len(rig.outbox.attempts) == 11
    assert rig.accounts.by_partition[PARTITION_0].consumed == 3
    assert rig.consumer.paused_partitions == []


def test_failures_with_commits_in_between_never_end_the_process() -> None:
    failures: list[SensorwatchError | None] = [*[MicroBatchAborted("injected")] * 4, None]
    steps = [
        step
        for first_offset in (0, 3, 6)
        for step in batch_steps(*THREE_PAYLOADS, first_offset=first_offset) * len(failures)
    ]
    rig = LoopRig(*steps, failures=failures * 3).with_opened_account()

    rig.run()

    assert len(rig.outbox.attempts) == 15
    assert rig.metric("transactions_total", outcome="aborted") == 12


def test_the_worker_is_not_ready_from_the_second_failure_in_a_row_to_the_next_commit() -> None:
    not_ready_reasons: list[str | None] = []

    def observe(_consumer: FakeConsumer) -> list[StoredRecord]:
        not_ready_reasons.append(rig.observation.not_ready_reason())
        return stored_records(*THREE_PAYLOADS)[:1]

    def observe_without_records(_consumer: FakeConsumer) -> list[StoredRecord]:
        not_ready_reasons.append(rig.observation.not_ready_reason())
        return []

    attempt_steps: list[ConsumeStep] = [observe, stored_records(*THREE_PAYLOADS)[1:], []]
    failures = [MicroBatchAborted("injected")] * 2
    # Each reading of the clock advances it by 1 s, which ends the pause after the second failure.
    rig = LoopRig(
        *attempt_steps * 3, observe_without_records, failures=failures, clock_step_seconds=1.0
    ).with_opened_account()

    rig.run()

    assert not_ready_reasons[:2] == [None, None]
    assert not_ready_reasons[2] == "2 micro-batches in a row not committed: injected"
    assert not_ready_reasons[3] is None


@pytest.mark.parametrize("error", [Fenced("injected"), Unrecoverable("injected")], ids=str)
def test_fenced_and_unrecoverable_errors_end_the_loop(error: SensorwatchError) -> None:
    rig = LoopRig(*batch_steps(*THREE_PAYLOADS), failures=[error]).with_opened_account()

    with pytest.raises(type(error)):
        rig.run()

    assert rig.accounts.by_partition[PARTITION_0].consumed == 0


def test_without_records_nothing_is_published() -> None:
    rig = LoopRig([], [], []).with_opened_account()

    rig.run()

    assert rig.outbox.attempts == []


def test_a_new_partition_without_records_is_committed() -> None:
    def rebalance(consumer: FakeConsumer) -> list[StoredRecord]:
        consumer.assign_partitions(1)
        return []

    rig = LoopRig(rebalance, []).with_opened_account()

    rig.run()

    ((messages, commits),) = rig.outbox.published_batches
    assert [message.topic for message in messages] == ["g.ledger"]
    assert [commit.partition.number for commit in commits] == [1]


def test_a_worker_without_a_membership_commits_nothing() -> None:
    rig = LoopRig(*batch_steps(*THREE_PAYLOADS)).with_opened_account()
    lost_membership = fakes.MEMBERSHIP.replace(b"\x01\x00\x00\x00", b"\xff\xff\xff\xff")
    rig.consumer.consumer_group_metadata = lambda: lost_membership  # type: ignore[method-assign]  # a lost membership

    rig.run()

    assert rig.outbox.attempts == []
    assert rig.consumer.seeks == [(0, 0)]


def test_a_new_champion_is_used_from_the_next_micro_batch_on() -> None:
    rig = LoopRig(
        *batch_steps(*THREE_PAYLOADS),
        *batch_steps(*THREE_PAYLOADS, first_offset=3),
        swap_at_refresh=1,
        clock_step_seconds=0.2,
    ).with_opened_account()

    rig.run()

    versions = {
        message.value.split(b'"model_version":"')[1].split(b'"')[0].decode()
        for messages, _ in rig.outbox.published_batches
        for message in messages
        if message.topic == "anomalies" and message.value
    }
    assert rig.champion.refresh_count >= 1
    assert versions <= {a_detector().version, NEW_VERSION}
    assert rig.accounts.by_partition[PARTITION_0].model_version == NEW_VERSION


def a_row_payload(minute: int, x1: float = 0.1) -> bytes:
    time = f"{minute // 60:02}:{minute % 60:02}"
    return a_payload((x1, 0.0, -0.2), sensor_id="s0", timestamp=f"2024-12-31T{time}:00Z")


def test_rows_are_counted_by_status_and_each_closed_episode_is_counted_once() -> None:
    """The anomalous row begins an episode, which the gap before the last row closes."""
    minutes = [0, 2, 4, 6, 8, 8, 8, 8, 7, 5, 3, 1]
    minute_after_gap = 20 * 60
    values = [
        *map(a_row_payload, minutes),
        a_row_payload(10, x1=30.0),
        a_row_payload(minute_after_gap),
    ]

    def forecast_detector(name: str = OLD_VERSION) -> Detector:
        return replace(a_forecast_detector(), version=name)

    rig = LoopRig(*batch_steps(*values), detector=forecast_detector).with_opened_account()

    rig.run()

    rows_by_status = {
        status: rig.metric("rows_by_status_total", status=status) for status in Status
    }
    assert rows_by_status == {
        Status.WARMING_UP: 2,
        Status.SCORED: 4,
        Status.DUPLICATE: 3,
        Status.LATE: 4,
        Status.GAP: 1,
        Status.MISSING: 0,
    }
    assert rig.metric("episodes_closed_total") == 1


INVALID_VALUES = (b"poison",) * 12


def test_an_open_breaker_pauses_commits_nothing_and_ends_the_worker_after_the_grace_time() -> None:
    rig = LoopRig(*batch_steps(*INVALID_VALUES), clock_step_seconds=0.05).with_opened_account()

    with pytest.raises(BreakerOpen, match="10 of the last 10"):
        rig.run(lambda: False)

    assert rig.outbox.attempts == []
    assert rig.consumer.paused_partitions == [0]
    assert rig.metric("breaker_open") == 1
    assert rig.observation.not_ready_reason() is not None
    assert rig.now >= 2


def test_a_new_champion_closes_the_breaker_and_the_batch_is_read_again() -> None:
    rig = LoopRig(
        *batch_steps(*INVALID_VALUES), [], *batch_steps(*THREE_PAYLOADS), swap_at_refresh=2
    ).with_opened_account()

    rig.run()

    assert rig.consumer.paused_partitions == []
    assert rig.consumer.seeks == [(0, 0)]
    assert rig.metric("breaker_open") == 0
    assert rig.accounts.by_partition[PARTITION_0].model_version == NEW_VERSION


def test_a_worker_with_an_open_breaker_can_be_stopped() -> None:
    rig = LoopRig(*batch_steps(*INVALID_VALUES), [], []).with_opened_account()

    rig.run()

    assert rig.outbox.attempts == []
