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
from sensorwatch.common.kafka.score_records import MAX_RECORD_BYTES
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

MISSING_SCHEMA_WARNING = (
    "warning: there is no schema schemas/mine.toml, which `train` and `topics check` need: "
    "write it with `sensorwatch schema infer FILE`, or correct [schema] path"
)


def test_the_ledger_topic_has_one_partition_and_unlimited_retention() -> None:
    plans = some_topic_plans(partitions=4)

    assert [(plan.name, plan.partitions) for plan in plans] == [
        ("r", 4), ("a", 4), ("d", 4), ("l", 1), ("s", 4), ("c", 4), ("v", 1),
    ]  # fmt: skip
    assert plans[3].config["retention.ms"] == "-1"


def test_the_state_topic_never_expires_and_accepts_its_largest_chunk() -> None:
    config = some_topic_plans(partitions=4)[4].config

    assert (config["cleanup.policy"], config["retention.ms"], config["retention.bytes"]) == (
        "delete", "-1", "-1",
    )  # fmt: skip
    assert int(config["max.message.bytes"]) > CHUNK_BYTES * 1.1


def test_the_scores_topic_keeps_its_records_for_a_week_and_accepts_the_largest_record() -> None:
    config = some_topic_plans(partitions=4)[5].config

    assert (config["cleanup.policy"], config["retention.ms"]) == ("delete", str(7 * 86_400_000))
    assert int(config["max.message.bytes"]) > MAX_RECORD_BYTES * 1.1


def test_without_score_records_there_is_no_scores_topic() -> None:
    assert [plan.name for plan in some_topic_plans(partitions=4, scores=None)] == [*"radlsv"]


def some_topic_plans(*, partitions: int, scores: str | None = "c") -> tuple[TopicPlan, ...]:
    return topic_plans(
        readings="r",
        anomalies="a",
        dead_letters="d",
        ledger="l",
        state="s",
        scores=scores,
        verdicts="v",
        partitions=partitions,
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
    topics_by_name = AdminClient({**kafka}).list_topics(timeout=10).topics
    assert {name: len(topic.partitions) for name, topic in topics_by_name.items()} == {"new": 4}


@pytest.mark.embedded
def test_the_error_for_a_missing_topic_names_the_address_and_the_remedy(
    embedded_broker: EmbeddedBroker,
) -> None:
    embedded_broker.create_topic("there")
    kafka = {"bootstrap.servers": embedded_broker.address}

    assert require_topics(kafka, ["there"]) == {"there": 4}
    with pytest.raises(BrokerUnavailable) as error_info:
        require_topics(kafka, ["there", "not-there"])

    message = str(error_info.value)
    assert f'the broker at {embedded_broker.address} has no topic "not-there"' in message
    assert "`sensorwatch topics create`" in message


def test_the_error_for_an_address_without_a_broker_names_the_cause() -> None:
    address = f"127.0.0.1:{free_port()}"

    with pytest.raises(BrokerUnavailable) as error_info:
        require_topics({"bootstrap.servers": address}, ["sensors"], timeout=0.5)

    assert f"no broker answers at {address} within 0.5 s" in str(error_info.value)
    assert "Connection refused" in str(error_info.value)


@pytest.mark.broker
def test_topics_are_created_once_and_then_listed(kafka: Kafka, tmp_path: Path) -> None:
    topic_prefix = uuid.uuid4().hex[:8]
    (tmp_path / "sensorwatch.toml").write_text(
        f'[topics]\nreadings = "{topic_prefix}"\nanomalies = "{topic_prefix}.anomalies"\n'
        f'dead_letters = "{topic_prefix}.dlq"\n[consumer]\ngroup = "{topic_prefix}"\n'
        '[schema]\npath = "schemas/mine.toml"\n',
        encoding="utf-8",
    )
    environ = {"SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": kafka.address}

    def run_topics_command(*args: str) -> tuple[int, list[str]]:
        result = sensorwatch("topics", *args, folder=tmp_path, environ=environ)
        return result.code, (result.out + result.err).splitlines()

    suffixes = ("anomalies", "dlq", "ledger", "state", "scores", "verdicts")
    names = [topic_prefix, *(f"{topic_prefix}.{suffix}" for suffix in suffixes)]
    code, lines = run_topics_command("check")
    assert code == 3
    assert f'has no topic "{topic_prefix}"' in lines[0]

    assert run_topics_command("create", "--partitions", "3") == (
        0,
        [
            f"{topic_prefix}: created (the readings' topic did not exist: check [topics] readings)",
            *(f"{name}: created" for name in names[1:]),
            MISSING_SCHEMA_WARNING,
        ],
    )
    assert run_topics_command("create") == (
        0,
        [*(f"{name}: existed already" for name in names), MISSING_SCHEMA_WARNING],
    )
    assert run_topics_command("check") == (
        0,
        [
            *(f"{name}: 3 partitions" for name in names[:3]),
            f"{topic_prefix}.ledger: 1 partition",
            f"{topic_prefix}.state: 3 partitions",
            f"{topic_prefix}.scores: 3 partitions",
        ],
    )


@pytest.mark.broker
def test_the_state_topic_gets_as_many_partitions_as_the_topic_of_readings(kafka: Kafka) -> None:
    readings, new_topic = (
        kafka.create_unique_topic("readings", partitions=3),
        f"new-{uuid.uuid4().hex[:8]}",
    )
    kafka_settings = {"bootstrap.servers": kafka.address}
    plan = TopicPlan(new_topic, 7, {}, partition_count_source=readings)

    create_topics(kafka_settings, [TopicPlan(readings, 7), plan])

    assert require_topics(kafka_settings, [new_topic]) == {new_topic: 3}


@pytest.mark.broker
def test_more_replicas_than_brokers_is_an_error_that_names_the_topic(kafka: Kafka) -> None:
    name = f"copies-{uuid.uuid4().hex[:8]}"

    with pytest.raises(UsageError, match=f'did not create the topic "{name}": .*[Rr]eplication'):
        create_topics({"bootstrap.servers": kafka.address}, [TopicPlan(name, 1)], replication=30)


def test_only_a_new_topic_of_readings_causes_a_note() -> None:
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


VALID_ROW = b'{"timestamp":"2025-01-01T00:00:00Z","x1":1,"x2":2,"x3":3}'


def send(address: str, topic: str, values: Sequence[bytes]) -> None:
    """Send values to a topic, alternately to the partitions 0 and 1."""
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
    group_topics = [f"sensorwatch.{name}" for name in ("ledger", "state", "scores")]
    for name in ("sensors", "anomalies", "sensors.dlq", *group_topics):
        embedded_broker.create_topic(name)
    result_without_records = run_in_process("topics", "check", "--config", config)
    assert "0 rows: 0 readings, 0 rejected" in result_without_records.out

    send(address, "sensors", [b"{"] * 12)
    result_all_rejected = run_in_process("topics", "check", "--config", config)
    send(address, "sensors", [VALID_ROW, VALID_ROW, VALID_ROW, b"[]"])
    result_one_rejected = run_in_process("topics", "check", "--rows", "4", "--config", config)

    assert result_all_rejected.code == 1
    assert "12 rows: 0 readings, 12 rejected\n  not_json: 12\n    0:0: " in result_all_rejected.out
    assert result_all_rejected.err.startswith(
        "error: all of the latest 12 records of sensors would be"
    )
    assert result_one_rejected.code == 0
    assert "4 rows: 3 readings, 1 rejected\n  not_object: 1\n    1:7: " in result_one_rejected.out


@pytest.mark.broker
def test_the_latest_records_exclude_transaction_markers_and_aborted_records(kafka: Kafka) -> None:
    """The commit and abort markers of transactions have offsets, but are not records."""
    topic = kafka.create_unique_topic("recent", partitions=2)
    producer = Producer({"bootstrap.servers": kafka.address, "transactional.id": topic})
    producer.init_transactions(20)
    for value, transaction_end in ((b"kept", "commit"), (b"gone", "abort"), (b"last", "commit")):
        producer.begin_transaction()
        for partition in (0, 1):
            producer.produce(topic, value=value, partition=partition)
        producer.flush(20)
        (
            producer.commit_transaction
            if transaction_end == "commit"
            else producer.abort_transaction
        )(20)

    records = recent_records({"bootstrap.servers": kafka.address}, topic, rows=100)

    assert [(record.partition(), record.value()) for record in records] == [
        (0, b"kept"), (0, b"last"), (1, b"kept"), (1, b"last"),
    ]  # fmt: skip
