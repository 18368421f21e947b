import json
import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest
from confluent_kafka import Message, Producer

from sensorwatch.common.kafka.records import Partition, last_header_value
from tests.brokers.kafka import Kafka
from tests.checker.checker import assert_faultless, check
from tests.checker.collecting import Run, collect, input_ends, wait_drained
from tests.checker.run_history import ReaderOutput, RecordOutcome
from tests.checker.small_consumer import SmallConsumer
from tests.checker.topic_reader import ConcurrentReader, read_committed
from tests.checker.violation import ViolationKind
from tests.reading_builders import ANOMALOUS, NORMAL, a_detector

pytestmark = [pytest.mark.broker, pytest.mark.slow]

FIRST, SECOND = a_detector("first", seed=7), a_detector("second", seed=8)
RECORDS = 40


def payload(number: int) -> bytes:
    """Return a row; of ten rows one is not JSON and two are anomalies, each an episode."""
    if number % 10 == 3:
        return b"{ %d" % number
    row = ANOMALOUS if number % 5 == 1 else NORMAL
    signals = dict(zip(("x1", "x2", "x3"), row, strict=True))
    time = f"2025-01-01T00:{number:02}:00Z"
    return json.dumps({"timestamp": time, "sensor_id": "s", **signals}).encode()


@pytest.fixture
def run(kafka: Kafka) -> Run:
    name = uuid.uuid4().hex[:8]
    readings, anomalies, letters, ledger = (
        kafka.create_topic(f"{name}.{kind}") for kind in ("in", "events", "dlq", "ledger")
    )
    producer = Producer({"bootstrap.servers": kafka.address})
    for number in range(RECORDS):
        producer.produce(readings, payload(number), b"s")
    assert producer.flush(20) == 0
    return Run(
        kafka.address,
        f"group-{name}",
        readings=readings,
        anomalies=anomalies,
        dead_letters=letters,
        ledger=ledger,
        detectors={"first": FIRST, "second": SECOND},
    )


@pytest.fixture
def records(run: Run) -> list[Message]:
    return read_committed(run.address, run.readings)


@pytest.fixture
def consumer(run: Run) -> Iterator[SmallConsumer]:
    consumer = SmallConsumer(run)
    yield consumer
    consumer.close()


def kinds(
    run: Run, during: ReaderOutput | None = None, *, settle_seconds: float = 10
) -> set[ViolationKind]:
    output = during if during is not None else ReaderOutput()
    history = collect(run, output, until=input_ends(run), settle_seconds=settle_seconds)
    return {violation.kind for violation in check(history)}


def test_a_run_with_an_abort_and_a_new_model_has_no_violation(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    with ConcurrentReader(
        run.address, anomalies=run.anomalies, dead_letters=run.dead_letters
    ) as reader:
        consumer.commit(consumer.decide(records[:11], FIRST))
        consumer.abort(consumer.decide(records[11:25], FIRST))
        consumer.commit(consumer.decide(records[11:17], FIRST))
        consumer.commit(consumer.decide(records[17:], SECOND))
        during = reader.finish()

    wait_drained(run, deadline=20)
    history = collect(run, during, until=input_ends(run))

    assert_faultless(history)
    assert history.during == history.afterwards
    assert len(history.afterwards.dead_letters) == RECORDS // 10
    (partition,) = history.inputs
    anomalies = sum(one.record_outcome is RecordOutcome.ANOMALY for one in partition.expected)
    assert len(history.afterwards.detections) == anomalies >= RECORDS // 5
    assert len(history.afterwards.episode_ends) == len(partition.episode_ends) >= RECORDS // 10


def test_a_missing_event_is_lost(run: Run, records: list[Message], consumer: SmallConsumer) -> None:
    batch = consumer.decide(records, FIRST)
    del batch.messages[0]

    consumer.commit(batch)

    assert kinds(run) == {ViolationKind.LOST}


def test_a_missing_end_of_an_episode_is_lost(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    batch = consumer.decide(records, FIRST)
    ends = [
        one
        for one in batch.messages
        if b"-closed" in (last_header_value(one.headers, "ce_id") or b"")
    ]
    batch.messages.remove(ends[0])

    consumer.commit(batch)

    assert kinds(run) == {ViolationKind.LOST}


def test_an_event_that_is_sent_twice_is_doubled(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    batch = consumer.decide(records, FIRST)
    batch.messages.insert(0, batch.messages[0])

    consumer.commit(batch)

    assert kinds(run) == {ViolationKind.DOUBLED}


def test_a_run_with_another_version_than_its_account_is_detected(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    consumer.commit(consumer.decide(records, replace(SECOND, version="first")))

    assert {ViolationKind.DIGEST, ViolationKind.CHANGED} <= kinds(run)


def test_skipped_records_are_detected(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    consumer.commit(consumer.decide(records[:10], FIRST))
    consumer.commit(consumer.decide(records[12:], FIRST))

    assert {ViolationKind.LOST, ViolationKind.ACCOUNT, ViolationKind.DIGEST} == kinds(run)


def test_an_open_transaction_is_detected(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    consumer.commit(consumer.decide(records[:30], FIRST))
    consumer.write(consumer.decide(records[30:], FIRST))

    violations = kinds(run, settle_seconds=0)

    assert violations == {ViolationKind.HANGING, ViolationKind.OFFSET}


def test_the_open_transaction_of_a_dead_consumer_is_waited_for(
    run: Run, records: list[Message], consumer: SmallConsumer
) -> None:
    consumer.commit(consumer.decide(records[:30], FIRST))
    consumer.write(consumer.decide(records[30:], FIRST))

    history = collect(run, ReaderOutput(), settle_seconds=30)

    assert_faultless(history)
    assert history.inputs[0].committed == 30
    assert history.inputs[0].partition == Partition(run.readings, 0)
