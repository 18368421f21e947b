"""The checker detects missing and wrong output of a run on a real broker."""

import json
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import Message, Producer

from sensorwatch.common.kafka.records import Partition, last_header_value
from tests.brokers.kafka import Kafka
from tests.checker.checker import assert_faultless, find_violations
from tests.checker.collecting import Run, collect_history, input_ends, wait_drained
from tests.checker.run_history import ReaderOutput, RecordOutcome
from tests.checker.small_consumer import SmallConsumer
from tests.checker.topic_reader import ConcurrentReader, read_committed
from tests.checker.violation import ViolationKind
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, a_detector

pytestmark = [pytest.mark.broker, pytest.mark.slow]

FIRST_DETECTOR, SECOND_DETECTOR = a_detector("first", seed=7), a_detector("second", seed=8)
RECORD_COUNT = 40


def payload(number: int) -> bytes:
    """Return a payload; one in ten is not JSON, and two in ten are single anomalies."""
    if number % 10 == 3:
        return b"{ %d" % number
    row = ANOMALOUS_VALUES if number % 5 == 1 else NORMAL_VALUES
    signals = dict(zip(("x1", "x2", "x3"), row, strict=True))
    time = f"2025-01-01T00:{number:02}:00Z"
    return json.dumps({"timestamp": time, "sensor_id": "s", **signals}).encode()


@pytest.fixture
def run(kafka: Kafka) -> Run:
    name = uuid.uuid4().hex[:8]
    readings, anomalies, dead_letters, ledger = (
        kafka.create_topic(f"{name}.{kind}") for kind in ("in", "events", "dlq", "ledger")
    )
    producer = Producer({"bootstrap.servers": kafka.address})
    for number in range(RECORD_COUNT):
        producer.produce(readings, payload(number), b"s")
    assert producer.flush(20) == 0
    return Run(
        kafka.address,
        f"group-{name}",
        readings=readings,
        anomalies=anomalies,
        dead_letters=dead_letters,
        ledger=ledger,
        detectors={"first": FIRST_DETECTOR, "second": SECOND_DETECTOR},
    )


@pytest.fixture
def records(run: Run) -> list[Message]:
    return read_committed(run.address, run.readings)


@pytest.fixture
def consumer(run: Run) -> Iterator[SmallConsumer]:
    consumer = SmallConsumer(run)
    yield consumer
    consumer.close()


def violation_kinds(
    run: Run, output_during_run: ReaderOutput | None = None, *, settle_seconds: float = 10
) -> set[ViolationKind]:
    output = output_during_run if output_during_run is not None else ReaderOutput()
    history = collect_history(
        run, output, required_offsets=input_ends(run), settle_seconds=settle_seconds
    )
    return {violation.kind for violation in find_violations(history)}


def test_a_run_with_an_abort_and_a_new_model_has_no_violation(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    with ConcurrentReader(
        run.address, anomalies=run.anomalies, dead_letters=run.dead_letters
    ) as reader:
        consumer.commit(consumer.prepare_content(records[:11], FIRST_DETECTOR))
        consumer.abort(consumer.prepare_content(records[11:25], FIRST_DETECTOR))
        consumer.commit(consumer.prepare_content(records[11:17], FIRST_DETECTOR))
        consumer.commit(consumer.prepare_content(records[17:], SECOND_DETECTOR))
        output_during_run = reader.finish()

    wait_drained(run, deadline=20)
    history = collect_history(run, output_during_run, required_offsets=input_ends(run))

    assert_faultless(history)
    assert history.output_during_run == history.output_after_run
    assert len(history.output_after_run.dead_letters) == RECORD_COUNT // 10
    (partition,) = history.inputs
    anomalies = sum(
        outcome.record_outcome is RecordOutcome.ANOMALY for outcome in partition.expected_outcomes
    )
    assert len(history.output_after_run.detections) == anomalies >= RECORD_COUNT // 5
    assert (
        len(history.output_after_run.episode_ends)
        == len(partition.episode_ends)
        >= RECORD_COUNT // 10
    )


def test_a_missing_event_is_reported_as_lost(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    content = consumer.prepare_content(records, FIRST_DETECTOR)
    del content.messages[0]

    consumer.commit(content)

    assert violation_kinds(run) == {ViolationKind.LOST_OUTCOME}


def test_a_missing_end_of_an_episode_is_reported_as_lost(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    content = consumer.prepare_content(records, FIRST_DETECTOR)
    end_events = [
        message
        for message in content.messages
        if b"-closed" in (last_header_value(message.headers, "ce_id") or b"")
    ]
    content.messages.remove(end_events[0])

    consumer.commit(content)

    assert violation_kinds(run) == {ViolationKind.LOST_OUTCOME}


def test_an_event_that_is_sent_twice_is_reported_as_doubled(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    content = consumer.prepare_content(records, FIRST_DETECTOR)
    content.messages.insert(0, content.messages[0])

    consumer.commit(content)

    assert violation_kinds(run) == {ViolationKind.DOUBLED_OUTCOME}


def test_a_run_with_another_version_than_the_account_names_is_detected(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    consumer.commit(consumer.prepare_content(records, replace(SECOND_DETECTOR, version="first")))

    assert {ViolationKind.WRONG_DIGEST, ViolationKind.CHANGED_OUTCOME} <= violation_kinds(run)


def test_skipped_records_are_detected(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    consumer.commit(consumer.prepare_content(records[:10], FIRST_DETECTOR))
    consumer.commit(consumer.prepare_content(records[12:], FIRST_DETECTOR))

    assert {
        ViolationKind.LOST_OUTCOME,
        ViolationKind.WRONG_ACCOUNT,
        ViolationKind.WRONG_DIGEST,
    } <= violation_kinds(run)


def test_an_open_transaction_is_detected(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    consumer.commit(consumer.prepare_content(records[:30], FIRST_DETECTOR))
    consumer.write_content(consumer.prepare_content(records[30:], FIRST_DETECTOR))

    violations = violation_kinds(run, settle_seconds=0)

    assert violations == {ViolationKind.OPEN_TRANSACTION, ViolationKind.WRONG_OFFSET}


def test_collecting_waits_for_the_open_transaction_of_a_dead_consumer(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    consumer.commit(consumer.prepare_content(records[:30], FIRST_DETECTOR))
    consumer.write_content(consumer.prepare_content(records[30:], FIRST_DETECTOR))

    history = collect_history(run, ReaderOutput(), settle_seconds=30)

    assert_faultless(history)
    assert history.inputs[0].committed_offset == 30
    assert history.inputs[0].partition == Partition(run.readings, 0)
