"""Tests of `sensorwatch topics`, and of errors for a missing topic or broker."""

import uuid
from collections.abc import Sequence
from pathlib import Path

import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient

from sensorwatch.commands.recent_records import recent_records
from sensorwatch.commands.topics_command import created_lines
from sensorwatch.common.errors import BrokerUnavailable, UsageError
from sensorwatch.common.kafka.snapshot_text import CHUNK_BYTES
from sensorwatch.common.kafka.topics import (
    TopicPlan,
    TopicStatus,
    create_topics,
    require_topics,
    topic_plans,
)
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests.brokers.kafka import Kafka
from tests.brokers.ports import free_port
from tests.commands.command_runner import run_in_process, sensorwatch

WARNING = (
    "warning: there is no schema schemas/mine.toml, which `train` and `topics check` need: "
    "write it with `sensorwatch schema infer FILE`, or correct [schema] path"
)


def test_the_ledger_topic_has_one_partition_and_unlimited_retention() -> None:
    plans = a_plan(partitions=4)

    assert [(plan.name, plan.partitions) for plan in plans] == [
        ("r", 4), ("a", 4), ("d", 4), ("l", 1), ("s", 4),
    ]  # fmt: skip
    assert plans[-2].config["retention.ms"] == "-1"


def test_the_state_topic_never_expires_and_accepts_its_largest_chunk() -> None:
    config = a_plan(partitions=4)[-1].config

    assert (config["cleanup.policy"], config["retention.ms"], config["retention.bytes"]) == (
        "delete", "-1", "-1",
    )  # fmt: skip
    assert int(config["max.message.bytes"]) > CHUNK_BYTES * 1.1


def a_plan(*, partitions: int) -> tuple[TopicPlan, ...]:
    return topic_plans(
        readings="r", anomalies="a", dead_letters="d", ledger="l", state="s", partitions=partitions
    )


@pytest.mark.embedded
def test_the_embedded_broker_refuses_to_create_topics(
    embedded_broker: EmbeddedBroker,
) -> None:
    kafka = {"bootstrap.servers": embedded_broker.address}

    with pytest.raises(UsageError, match=r"cannot create topics: it has no controller"):
        create_topics(kafka, [TopicPlan("new", 1)])

    embedded_broker.create_topic("new")
    assert create_topics(kafka, [TopicPlan("new", 1)]) == {"new": TopicStatus.EXISTED}
    topics = AdminClient({**kafka}).list_topics(timeout=10).topics
    assert {name: len(topic.partitions) for name, topic in topics.items()} == {"new": 4}


@pytest.mark.embedded
def test_a_missing_topic_is_named_with_the_address_and_the_remedy(
    embedded_broker: EmbeddedBroker,
) -> None:
    embedded_broker.create_topic("there")
    kafka = {"bootstrap.servers": embedded_broker.address}

    assert require_topics(kafka, ["there"]) == {"there": 4}
    with pytest.raises(BrokerUnavailable) as caught:
        require_topics(kafka, ["there", "not-there"])

    message = str(caught.value)
    assert f'the broker at {embedded_broker.address} has no topic "not-there"' in message
    assert "`sensorwatch topics create`" in message


def test_an_address_without_a_broker_is_named_with_the_cause() -> None:
    address = f"127.0.0.1:{free_port()}"

    with pytest.raises(BrokerUnavailable) as caught:
        require_topics({"bootstrap.servers": address}, ["sensors"], timeout=0.5)

    assert f"no broker answers at {address} within 0.5 s" in str(caught.value)
    assert "Connection refused" in str(caught.value)


@pytest.mark.broker
def test_topics_are_created_once_and_then_reported(kafka: Kafka, tmp_path: Path) -> None:
    stem = uuid.uuid4().hex[:8]
    (tmp_path / "sensorwatch.toml").write_text(
        f'[topics]\nreadings = "{stem}"\nanomalies = "{stem}.anomalies"\n'
        f'dead_letters = "{stem}.dlq"\n[consumer]\ngroup = "{stem}"\n'
        '[schema]\npath = "schemas/mine.toml"\n',
        encoding="utf-8",
    )
    environ = {"SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": kafka.address}

    def topics(*args: str) -> tuple[int, list[str]]:
        ended = sensorwatch("topics", *args, folder=tmp_path, environ=environ)
        return ended.code, (ended.out + ended.err).splitlines()

    kinds = ("anomalies", "dlq", "ledger", "state")
    names = [stem, *(f"{stem}.{kind}" for kind in kinds)]
    code, lines = topics("check")
    assert code == 3
    assert f'has no topic "{stem}"' in lines[0]

    assert topics("create", "--partitions", "3") == (
        0,
        [
            f"{stem}: created (the readings' topic did not exist: check [topics] readings)",
            *(f"{name}: created" for name in names[1:]),
            WARNING,
        ],
    )
    assert topics("create") == (
        0,
        [*(f"{name}: existed already" for name in names), WARNING],
    )
    assert topics("check") == (
        0,
        [
            *(f"{name}: 3 partitions" for name in names[:3]),
            f"{stem}.ledger: 1 partition",
            f"{stem}.state: 3 partitions",
        ],
    )


@pytest.mark.broker
def test_the_state_topic_gets_as_many_partitions_as_the_readings_have(kafka: Kafka) -> None:
    readings, new = kafka.unused_topic("readings", partitions=3), f"new-{uuid.uuid4().hex[:8]}"
    kafka_settings = {"bootstrap.servers": kafka.address}
    plan = TopicPlan(new, 7, {}, partitions_like=readings)

    create_topics(kafka_settings, [TopicPlan(readings, 7), plan])

    assert require_topics(kafka_settings, [new]) == {new: 3}


@pytest.mark.broker
def test_more_replicas_than_brokers_is_an_error_that_names_the_topic(kafka: Kafka) -> None:
    name = f"copies-{uuid.uuid4().hex[:8]}"

    with pytest.raises(UsageError, match=f'did not create the topic "{name}": .*[Rr]eplication'):
        create_topics({"bootstrap.servers": kafka.address}, [TopicPlan(name, 1)], replication=30)


def test_only_a_new_topic_of_readings_gets_a_note() -> None:
    statuses = {
        "rows": TopicStatus.CREATED,
        "anomalies": TopicStatus.CREATED,
        "l": TopicStatus.EXISTED,
    }

    assert list(created_lines(statuses, "rows")) == [
        "rows: created (the readings' topic did not exist: check [topics] readings)",
        "anomalies: created",
        "l: existed already",
    ]
    assert list(created_lines({"rows": TopicStatus.EXISTED}, "rows")) == ["rows: existed already"]


GOOD = b'{"timestamp":"2025-01-01T00:00:00Z","x1":1,"x2":2,"x3":3}'


def send(address: str, topic: str, values: Sequence[bytes]) -> None:
    """Produce values alternately to the partitions 0 and 1."""
    producer = Producer({"bootstrap.servers": address, "log_level": 0})
    for number, value in enumerate(values):
        producer.produce(topic, value=value, partition=number % 2)
    assert producer.flush(20) == 0


@pytest.mark.embedded
def test_the_latest_records_are_checked_against_the_schema(
    embedded_broker: EmbeddedBroker, tmp_path: Path
) -> None:
    address, config = embedded_broker.address, tmp_path / "config.toml"
    config.write_text(f'[kafka]\n"bootstrap.servers" = "{address}"', encoding="utf-8")
    for name in ("sensors", "anomalies", "sensors.dlq", "sensorwatch.ledger", "sensorwatch.state"):
        embedded_broker.create_topic(name)
    empty = run_in_process("topics", "check", "--config", config)
    assert "0 rows: 0 readings, 0 rejected" in empty.out

    send(address, "sensors", [b"{"] * 12)
    all_rejected = run_in_process("topics", "check", "--config", config)
    send(address, "sensors", [GOOD, GOOD, GOOD, b"[]"])
    mixed = run_in_process("topics", "check", "--rows", "4", "--config", config)

    assert all_rejected.code == 1
    assert "12 rows: 0 readings, 12 rejected\n  not_json: 12\n    0:0: " in all_rejected.out
    assert all_rejected.err.startswith("error: all of the latest 12 records of sensors would be")
    assert mixed.code == 0
    assert "4 rows: 3 readings, 1 rejected\n  not_object: 1\n    1:7: " in mixed.out


@pytest.mark.broker
def test_the_latest_records_exclude_transaction_markers_and_aborted_records(kafka: Kafka) -> None:
    """Commit and abort markers occupy offsets, but are not records."""
    topic = kafka.unused_topic("recent", partitions=2)
    producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": topic})
    producer.init_transactions(20)
    for value, end in ((b"kept", "commit"), (b"gone", "abort"), (b"last", "commit")):
        producer.begin_transaction()
        for partition in (0, 1):
            producer.produce(topic, value=value, partition=partition)
        producer.flush(20)
        (producer.commit_transaction if end == "commit" else producer.abort_transaction)(20)

    records = recent_records({"bootstrap.servers": kafka.address}, topic, rows=100)

    assert [(record.partition(), record.value()) for record in records] == [
        (0, b"kept"), (0, b"last"), (1, b"kept"), (1, b"last"),
    ]  # fmt: skip
