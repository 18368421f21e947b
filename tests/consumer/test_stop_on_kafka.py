"""On a real Kafka, SIGTERM writes the memories, and stops in time even without a broker."""

import time
from pathlib import Path

import pytest
from confluent_kafka import Consumer, TopicPartition

from sensorwatch.commands.ledger_command import app as ledger_app
from sensorwatch.commands.state_command import app as state_app
from sensorwatch.common.errors import StateRefused
from sensorwatch.common.kafka.ledger_text import LEDGER_VERSION
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.runtime.command_line import run
from tests.brokers.kafka import Kafka
from tests.consumer.sandbox import PARTITION_COUNT, START_SECONDS, Sandbox
from tests.kafka.record_builders import a_payload
from tests.reading_builders import ANOMALOUS_VALUES

pytestmark = [pytest.mark.broker, pytest.mark.slow]

PAYLOADS = [a_payload(), a_payload(ANOMALOUS_VALUES), b"{", a_payload(), a_payload(x1=None)] * 8
SHUTDOWN_SECONDS = 5.0
"""Default of `[consumer] shutdown_seconds`, after which a stopping worker exits with code 70."""


def a_sandbox(kafka: Kafka, folder: Path) -> Sandbox:
    sandbox = Sandbox(kafka.address, folder)
    for name, partitions in sandbox.topics.items():
        kafka.create_topic(name, partitions)
    return sandbox.with_model()


def replayed_records(sandbox: Sandbox) -> dict[int, int]:
    """Return by partition how many records a restore would replay."""
    return {
        number: account.next_offset - account.snapshot.next_offset
        for number, account in sandbox.accounts().items()
        if account.snapshot is not None
    }


def test_after_sigterm_the_next_worker_replays_no_record(
    kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sandbox = a_sandbox(kafka, tmp_path)
    with sandbox.start() as worker:
        for count in (1, 2):  # the first commit of a partition has a snapshot, later ones have none
            sandbox.send_payloads(PAYLOADS)
            sandbox.wait_consumed(count * len(PAYLOADS), worker)
        assert sum(replayed_records(sandbox).values()) > 0
        assert worker.process.terminate(deadline=SHUTDOWN_SECONDS) == 0
        assert "memories written before the stop" in worker.log()

    assert replayed_records(sandbox) == dict.fromkeys(range(PARTITION_COUNT), 0)
    accounts = sandbox.accounts()
    with sandbox.start() as worker:
        worker.wait_ready()
        assert worker.process.terminate(deadline=SHUTDOWN_SECONDS) == 0
        assert "memories written" not in worker.log(), "an unchanged memory is not written again"
    assert sandbox.accounts() == accounts
    sandbox.check_accounts()
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    assert run(ledger_app, ["verify"]) == 0


def test_sigterm_without_a_broker_ends_a_worker_in_time(own_kafka: Kafka, tmp_path: Path) -> None:
    sandbox = a_sandbox(own_kafka, tmp_path)
    with sandbox.start() as worker:
        for count in (1, 2):
            sandbox.send_payloads(PAYLOADS)
            sandbox.wait_consumed(count * len(PAYLOADS), worker)
        accounts = sandbox.accounts()
        own_kafka.kill()
        start = time.monotonic()

        exit_code = worker.process.terminate(deadline=SHUTDOWN_SECONDS + 3)

        assert time.monotonic() - start < SHUTDOWN_SECONDS
        assert exit_code == 0
        assert "not every memory was written" in worker.log()

    own_kafka.restart()
    with sandbox.start() as worker:
        sandbox.send_payloads(PAYLOADS)
        sandbox.wait_consumed(3 * len(PAYLOADS), worker)
        assert {n: a.first_offset for n, a in sandbox.accounts().items()} == {
            n: a.first_offset for n, a in accounts.items()
        }
        assert worker.process.terminate(deadline=SHUTDOWN_SECONDS) == 0
    sandbox.check_accounts()


def test_a_group_of_an_older_version_exits_with_code_8_until_it_is_reset(
    kafka: Kafka,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    sandbox = a_sandbox(kafka, tmp_path)
    sandbox.send_payloads(PAYLOADS)
    with sandbox.start() as worker:
        sandbox.wait_consumed(len(PAYLOADS), worker)
        assert worker.process.terminate(deadline=SHUTDOWN_SECONDS) == 0
    age_accounts(sandbox)

    with sandbox.start() as worker:
        assert worker.process.wait(deadline=START_SECONDS) == StateRefused.exit_code == 8
        assert "an older sensorwatch committed the account" in worker.log()
        assert "sensorwatch state reset" in worker.log()

    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    assert run(state_app, ["reset", "--yes"]) == 0
    assert "an older sensorwatch committed the account" in capsys.readouterr().out
    with sandbox.start() as worker:
        sandbox.send_payloads(PAYLOADS)
        sandbox.wait_consumed(len(PAYLOADS), worker)
        assert worker.process.terminate(deadline=SHUTDOWN_SECONDS) == 0
    assert run(ledger_app, ["verify", "--since-restart"]) == 0


def age_accounts(sandbox: Sandbox) -> None:
    """Commit the group's offsets again, with accounts of the ledger version before this one."""
    offsets = [
        TopicPartition(
            partition.topic,
            partition.partition,
            partition.offset,
            metadata=(partition.metadata or "").replace(
                f'"ledger_version":{LEDGER_VERSION}', f'"ledger_version":{LEDGER_VERSION - 1}'
            ),
        )
        for partition in sandbox.committed_offsets().values()
    ]
    with Consumer({**sandbox.kafka, "group.id": sandbox.group}, logger=silent_logger()) as client:
        client.commit(offsets=offsets, asynchronous=False)
