"""Checks worker processes on a real Kafka with exactly-once delivery."""

import time
from pathlib import Path

import pytest

from sensorwatch.commands.ledger_command import app as ledger_app
from sensorwatch.common.errors import BreakerOpen, Fenced, OffsetsLost, UsageError
from sensorwatch.common.kafka.dead_letters import HEADERS_LOST_HEADER
from sensorwatch.common.kafka.ledger_text import Cause
from sensorwatch.common.kafka.records import header_value
from sensorwatch.common.runtime.command_line import run
from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.brokers.raw_header import produce_with_header
from tests.consumer.sandbox import START_SECONDS, Sandbox, Worker
from tests.kafka.record_builders import a_payload
from tests.publishing.test_events import EVENT_VALIDATOR, decode_event
from tests.reading_builders import ANOMALOUS_VALUES

pytestmark = [pytest.mark.broker, pytest.mark.slow]

PAYLOADS = [a_payload(), a_payload(ANOMALOUS_VALUES), b"{", a_payload(), a_payload(x1=None)] * 8
GROUP_PROTOCOLS = ["classic", "consumer"]
INVALID_VALUES = [b"poison"] * 30


@pytest.fixture
def sandbox(kafka: Kafka, tmp_path: Path) -> Sandbox:
    sandbox = Sandbox(kafka.address, tmp_path)
    for name, partitions in sandbox.topics.items():
        kafka.create_topic(name, partitions)
    return sandbox.with_model()


@pytest.mark.parametrize("protocol", GROUP_PROTOCOLS)
def test_every_record_has_one_outcome_during_a_rebalance(sandbox: Sandbox, protocol: str) -> None:
    """The test runs with the classic group protocol and with the protocol of KIP-848."""
    sandbox.kafka["group.protocol"] = protocol
    sandbox.send_payloads(PAYLOADS)
    with sandbox.start(consumer__max_rows=7) as first_worker:
        sandbox.wait_consumed(40, first_worker)
        with sandbox.start(consumer__instance="1", consumer__max_rows=7) as second_worker:
            second_worker.wait_ready()
            sandbox.send_payloads(PAYLOADS * 3)
            sandbox.wait_consumed(160, second_worker)
            assert scored_rows(first_worker) + scored_rows(second_worker) == 96
            assert scored_rows(second_worker) > 0
            assert second_worker.process.terminate(deadline=5) == 0
        sandbox.send_payloads(PAYLOADS)
        sandbox.wait_consumed(200, first_worker)
        assert first_worker.process.terminate(deadline=5) == 0

    sandbox.check_accounts()
    for message in sandbox.read(sandbox.anomalies):
        EVENT_VALIDATOR.validate(decode_event(message.value()))
    opened_records = [r for r in sandbox.ledger_records() if r.cause is Cause.OPENED]
    assert sorted(record.partition for record in opened_records) == [0, 1, 2, 3]


def scored_rows(worker: Worker) -> float:
    return worker.metric("sensorwatch_rows_scored_total")


def test_lost_offsets_are_refused_and_nothing_is_scored_again(
    sandbox: Sandbox, kafka: Kafka
) -> None:
    sandbox.send_payloads(PAYLOADS)
    with sandbox.start() as worker:
        sandbox.wait_consumed(40, worker)
        assert worker.process.terminate(deadline=5) == 0
    event_count = len(sandbox.read(sandbox.anomalies))
    kafka.delete_group(sandbox.group)

    with sandbox.start() as worker:
        assert worker.process.wait(deadline=START_SECONDS) == OffsetsLost.exit_code
        assert "sensorwatch ledger restore" in worker.log()

    assert len(sandbox.read(sandbox.anomalies)) == event_count
    assert sandbox.accounts() == {}


def test_lost_offsets_are_restored_from_the_ledger_with_their_memory(
    sandbox: Sandbox, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox.send_payloads(PAYLOADS)
    with sandbox.start() as worker:
        sandbox.wait_consumed(40, worker)
        assert worker.process.terminate(deadline=5) == 0
    kafka.delete_group(sandbox.group)
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)

    assert run(ledger_app, ["restore"]) == UsageError.exit_code
    assert sandbox.accounts() == {}
    assert run(ledger_app, ["restore", "--yes"]) == 0

    newest_accounts = {record.partition: record.account for record in sandbox.ledger_records()}
    assert sandbox.accounts() == newest_accounts
    assert all(account.snapshot is not None for account in newest_accounts.values())
    with sandbox.start() as worker:
        sandbox.send_payloads(PAYLOADS)
        sandbox.wait_consumed(80, worker)
        assert worker.process.terminate(deadline=5) == 0


def test_the_breaker_stops_commits_until_the_rejections_are_accepted(
    sandbox: Sandbox,
) -> None:
    breaker_settings = {
        "consumer__breaker__min_rows": 10,
        "consumer__breaker__window_rows": 20,
        "consumer__breaker__grace_seconds": 1,
        "consumer__max_rows": 5,
    }
    sandbox.send_payloads([a_payload()] * 20, partition=2)
    with sandbox.start(**breaker_settings) as worker:
        sandbox.wait_consumed(20, worker)
        sandbox.send_payloads(INVALID_VALUES + [a_payload()] * 10, partition=2)
        wait_until(lambda: worker.status("/readyz") == 503, deadline=20, what="the breaker")
        assert worker.metric("sensorwatch_breaker_open") == 1
        assert worker.process.wait(deadline=20) == BreakerOpen.exit_code
    account = sandbox.accounts()[2]
    assert account.adds_up
    assert account.next_offset < 50
    rows, rejected_rows = account.window
    assert rejected_rows <= 0.5 * rows
    assert len(sandbox.read(sandbox.dead_letters)) == account.dead_letters

    # The window of the breaker is stored in the account, so a restart does not clear it.
    with sandbox.start(**breaker_settings) as worker:
        assert worker.process.wait(deadline=START_SECONDS) == BreakerOpen.exit_code
    assert sandbox.accounts()[2] == account

    with sandbox.start("--accept-rejections-until", "2:50", **breaker_settings) as worker:
        sandbox.wait_consumed(60, worker)
        assert worker.process.terminate(deadline=5) == 0
    assert sandbox.accounts()[2].dead_letters == 30
    sandbox.check_accounts()


def test_an_unreadable_header_does_not_stop_the_partition(sandbox: Sandbox, kafka: Kafka) -> None:
    """The outcome of a record does not depend on whether its headers can be read."""
    for value in (b"{", a_payload(ANOMALOUS_VALUES)):
        produce_with_header(
            kafka.address,
            sandbox.readings,
            value,
            partition=1,
            header_name=b"\xff\xfe",
            header_value=b"v",
        )
    sandbox.send_payloads([a_payload()] * 3, partition=1)
    with sandbox.start() as worker:
        sandbox.wait_consumed(5, worker)
        assert worker.process.terminate(deadline=5) == 0

    sandbox.check_accounts()
    (dead_letter,) = sandbox.read(sandbox.dead_letters)
    assert header_value(dead_letter, HEADERS_LOST_HEADER) is not None
    assert len(sandbox.read(sandbox.anomalies)) == 1


def test_start_latest_skips_the_existing_records(sandbox: Sandbox) -> None:
    sandbox.send_payloads(PAYLOADS)
    with sandbox.start(consumer__start="latest") as worker:
        worker.wait_ready()
        # Partitions without records get accounts too; else a restart would skip their next records.
        wait_until(lambda: len(sandbox.accounts()) == 4, deadline=20, what="accounts opened")
        assert worker.process.terminate(deadline=5) == 0
    sandbox.send_payloads(PAYLOADS)
    with sandbox.start(consumer__start="latest") as worker:
        sandbox.wait_consumed(40, worker)
        assert worker.process.terminate(deadline=5) == 0

    assert {account.first_offset for account in sandbox.accounts().values()} == {10}


def test_start_error_does_not_start_without_an_offset(sandbox: Sandbox) -> None:
    sandbox.send_payloads(PAYLOADS)
    with sandbox.start(consumer__start="error") as worker:
        assert worker.process.wait(deadline=START_SECONDS) == OffsetsLost.exit_code
        assert "reset-offsets" in worker.log()
    assert sandbox.accounts() == {}


def test_one_of_two_workers_with_the_same_transactional_id_is_fenced(
    sandbox: Sandbox,
) -> None:
    sandbox.send_payloads(PAYLOADS)
    with sandbox.start() as first_worker:
        sandbox.wait_consumed(40, first_worker)
        with sandbox.start() as second_worker:
            second_worker.wait_ready()
            deadline = time.monotonic() + START_SECONDS
            while first_worker.process.running and second_worker.process.running:
                sandbox.send_payloads(PAYLOADS)
                assert time.monotonic() < deadline, "both workers are still running"
            (ended_worker, running_worker) = (
                (first_worker, second_worker)
                if second_worker.process.running
                else (second_worker, first_worker)
            )
            assert ended_worker.process.exit_code == Fenced.exit_code
            assert "[consumer] instance" in ended_worker.log()
            record_count = len(sandbox.read(sandbox.readings))
            sandbox.wait_consumed(record_count, running_worker)
            assert running_worker.process.terminate(deadline=5) == 0

    sandbox.check_accounts()
