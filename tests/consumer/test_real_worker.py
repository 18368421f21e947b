"""Workers as processes on a real Kafka, exactly once."""

import time
from pathlib import Path

import pytest

from sensorwatch.commands.ledger_command import app as ledger
from sensorwatch.common.errors import BreakerOpen, Fenced, OffsetsLost, UsageError
from sensorwatch.common.kafka.dead_letters import HEADERS_LOST
from sensorwatch.common.kafka.ledger_text import Cause
from sensorwatch.common.kafka.records import header
from sensorwatch.common.runtime.command_line import run
from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.brokers.raw_header import produce_with_header
from tests.consumer.plant import START_SECONDS, Plant, Worker
from tests.kafka.record_builders import a_payload
from tests.publishing.test_events import VALIDATOR, plain_value
from tests.reading_builders import ANOMALOUS

pytestmark = [pytest.mark.broker, pytest.mark.slow]

PAYLOADS = [a_payload(), a_payload(ANOMALOUS), b"{", a_payload(), a_payload(x1=None)] * 8
PROTOCOLS = ["classic", "consumer"]
POISON = [b"poison"] * 30


@pytest.fixture
def plant(kafka: Kafka, tmp_path: Path) -> Plant:
    plant = Plant(kafka.address, tmp_path)
    for name, partitions in plant.topics.items():
        kafka.create_topic(name, partitions)
    return plant.with_model()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_every_record_has_its_outcome_through_a_rebalance(plant: Plant, protocol: str) -> None:
    """With the classic group protocol and with KIP-848's."""
    plant.kafka["group.protocol"] = protocol
    plant.send(PAYLOADS)
    with plant.start(consumer__max_rows=7) as first:
        plant.wait_consumed(40, first)
        with plant.start(consumer__instance="1", consumer__max_rows=7) as second:
            second.wait_ready()
            plant.send(PAYLOADS * 3)
            plant.wait_consumed(160, second)
            assert scored(first) + scored(second) == 96
            assert scored(second) > 0
            assert second.program.terminate(deadline=5) == 0
        plant.send(PAYLOADS)
        plant.wait_consumed(200, first)
        assert first.program.terminate(deadline=5) == 0

    plant.check_books()
    for message in plant.read(plant.anomalies):
        VALIDATOR.validate(plain_value(message.value()))
    opened = [r for r in plant.ledger_records() if r.cause is Cause.OPENED]
    assert sorted(record.partition for record in opened) == [0, 1, 2, 3]


def scored(worker: Worker) -> float:
    return worker.metric("sensorwatch_rows_scored_total")


def test_lost_offsets_are_refused_and_nothing_is_scored_again(plant: Plant, kafka: Kafka) -> None:
    plant.send(PAYLOADS)
    with plant.start() as worker:
        plant.wait_consumed(40, worker)
        assert worker.program.terminate(deadline=5) == 0
    events = len(plant.read(plant.anomalies))
    kafka.delete_group(plant.group)

    with plant.start() as worker:
        assert worker.program.wait(deadline=START_SECONDS) == OffsetsLost.exit_code
        assert "sensorwatch ledger restore" in worker.log()

    assert len(plant.read(plant.anomalies)) == events
    assert plant.accounts() == {}


def test_lost_offsets_come_back_out_of_the_ledger_with_the_memory_that_stood_there(
    plant: Plant, kafka: Kafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    plant.send(PAYLOADS)
    with plant.start() as worker:
        plant.wait_consumed(40, worker)
        assert worker.program.terminate(deadline=5) == 0
    kafka.delete_group(plant.group)
    for name, value in plant.environment().items():
        monkeypatch.setenv(name, value)

    assert run(ledger, ["restore"]) == UsageError.exit_code
    assert plant.accounts() == {}
    assert run(ledger, ["restore", "--yes"]) == 0

    newest = {record.partition: record.account for record in plant.ledger_records()}
    assert plant.accounts() == newest
    assert all(account.snapshot is not None for account in newest.values())
    with plant.start() as worker:
        plant.send(PAYLOADS)
        plant.wait_consumed(80, worker)
        assert worker.program.terminate(deadline=5) == 0


def test_the_breaker_commits_nothing_past_the_ratio_until_a_person_lets_it(plant: Plant) -> None:
    strict = {
        "consumer__breaker__min_rows": 10,
        "consumer__breaker__window_rows": 20,
        "consumer__breaker__grace_seconds": 1,
        "consumer__max_rows": 5,
    }
    plant.send([a_payload()] * 20, partition=2)
    with plant.start(**strict) as worker:
        plant.wait_consumed(20, worker)
        plant.send(POISON + [a_payload()] * 10, partition=2)
        wait_until(lambda: worker.status("/readyz") == 503, deadline=20, what="the breaker")
        assert worker.metric("sensorwatch_breaker_open") == 1
        assert worker.program.wait(deadline=20) == BreakerOpen.exit_code
    held = plant.accounts()[2]
    assert held.adds_up
    assert held.next_offset < 50
    rows, rejected = held.window
    assert rejected <= 0.5 * rows
    assert len(plant.read(plant.dead_letters)) == held.dead_letters

    with plant.start(**strict) as worker:  # the window is in the account: a restart is no way out
        assert worker.program.wait(deadline=START_SECONDS) == BreakerOpen.exit_code
    assert plant.accounts()[2] == held

    with plant.start("--accept-rejections-until", "2:50", **strict) as worker:
        plant.wait_consumed(60, worker)
        assert worker.program.terminate(deadline=5) == 0
    assert plant.accounts()[2].dead_letters == 30
    plant.check_books()


def test_a_header_that_the_client_cannot_read_stops_nothing(plant: Plant, kafka: Kafka) -> None:
    """Its record becomes a dead letter or an event as without it, and the partition goes on."""
    for value in (b"{", a_payload(ANOMALOUS)):
        produce_with_header(
            kafka.address, plant.readings, value, partition=1, name=b"\xff\xfe", content=b"v"
        )
    plant.send([a_payload()] * 3, partition=1)
    with plant.start() as worker:
        plant.wait_consumed(5, worker)
        assert worker.program.terminate(deadline=5) == 0

    plant.check_books()
    (letter,) = plant.read(plant.dead_letters)
    assert header(letter, HEADERS_LOST) is not None
    assert len(plant.read(plant.anomalies)) == 1


def test_latest_begins_behind_what_is_there(plant: Plant) -> None:
    plant.send(PAYLOADS)
    with plant.start(consumer__start="latest") as worker:
        worker.wait_ready()
        # Also idle partitions are committed, so that a restart skips nothing that came meanwhile.
        wait_until(lambda: len(plant.accounts()) == 4, deadline=20, what="accounts opened")
        assert worker.program.terminate(deadline=5) == 0
    plant.send(PAYLOADS)
    with plant.start(consumer__start="latest") as worker:
        plant.wait_consumed(40, worker)
        assert worker.program.terminate(deadline=5) == 0

    assert {account.first_offset for account in plant.accounts().values()} == {10}


def test_error_begins_nowhere_by_itself(plant: Plant) -> None:
    plant.send(PAYLOADS)
    with plant.start(consumer__start="error") as worker:
        assert worker.program.wait(deadline=START_SECONDS) == OffsetsLost.exit_code
        assert "reset-offsets" in worker.log()
    assert plant.accounts() == {}


def test_of_two_with_one_transactional_id_one_ends_and_no_record_is_doubled(plant: Plant) -> None:
    plant.send(PAYLOADS)
    with plant.start() as first:
        plant.wait_consumed(40, first)
        with plant.start() as second:
            second.wait_ready()
            deadline = time.monotonic() + START_SECONDS
            while first.program.running and second.program.running:
                plant.send(PAYLOADS)
                assert time.monotonic() < deadline, "both go on"
            (ended, left) = (first, second) if second.program.running else (second, first)
            assert ended.program.exit_code == Fenced.exit_code
            assert "[consumer] instance" in ended.log()
            sent = len(plant.read(plant.readings))
            plant.wait_consumed(sent, left)
            assert left.program.terminate(deadline=5) == 0

    plant.check_books()
