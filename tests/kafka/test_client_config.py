"""Any librdkafka key passes through, except the few that a promise rests on."""

from typing import Any

import pytest
from confluent_kafka import Consumer

from sensorwatch.common.errors import SettingsError
from sensorwatch.common.kafka.client_config import (
    client_config,
    consumer_config,
    producer_config,
    reader_config,
)
from sensorwatch.common.kafka.silent_logger import quiet_logger

KAFKA = {"bootstrap.servers": "here:9092"}


@pytest.mark.parametrize(
    "broken",
    [
        {"enable.auto.commit": True},
        {"enable.auto.commit": "true"},
        {"enable.auto.offset.store": True},
        {"auto.offset.reset": "earliest"},
        {"isolation.level": "read_uncommitted"},
        {"allow.auto.create.topics": True},
        {"enable.partition.eof": True},
        {"group.id": "another"},
    ],
    ids=str,
)
def test_a_consumer_key_that_a_promise_rests_on_is_refused(broken: dict[str, Any]) -> None:
    (name,) = broken

    with pytest.raises(SettingsError, match=name):
        consumer_config(KAFKA | broken, group="g")


@pytest.mark.parametrize(
    "broken", [{"enable.idempotence": False}, {"transactional.id": "mine"}], ids=str
)
def test_a_producer_key_that_a_promise_rests_on_is_refused(broken: dict[str, Any]) -> None:
    (name,) = broken

    with pytest.raises(SettingsError, match=name):
        producer_config(KAFKA | broken, transactional_id="g.0.0")


def test_setting_such_a_key_to_what_it_is_does_no_harm() -> None:
    same = {"enable.auto.commit": "false", "isolation.level": "read_committed", "group.id": "g"}

    assert consumer_config(KAFKA | same, group="g")["enable.auto.commit"] is False


def test_the_users_value_wins_over_our_default() -> None:
    asked = KAFKA | {"fetch.queue.backoff.ms": 50, "linger.ms": 100, "sasl.username": "me"}

    consumer, producer = consumer_config(asked, group="g"), producer_config(asked)

    assert consumer["fetch.queue.backoff.ms"] == 50
    assert producer["linger.ms"] == 100
    assert client_config(asked)["sasl.username"] == "me"


def test_a_transaction_that_begins_too_early_is_not_held_up_for_long() -> None:
    assert producer_config(KAFKA, transactional_id="g.0.0")["retry.backoff.ms"] == 20
    asked = producer_config(KAFKA | {"retry.backoff.ms": 500}, transactional_id="g.0.0")
    assert asked["retry.backoff.ms"] == 500
    assert "retry.backoff.ms" not in producer_config(KAFKA)


def test_a_consumer_reads_only_what_is_committed() -> None:
    config = consumer_config(KAFKA, group="g")

    assert config["isolation.level"] == "read_committed"
    assert config["auto.offset.reset"] == "error"
    assert config["group.id"] == "g"


def test_the_session_is_the_brokers_with_the_consumer_protocol() -> None:
    assert "session.timeout.ms" in consumer_config(KAFKA, group="g")
    asked = KAFKA | {"group.protocol": "consumer"}
    assert "session.timeout.ms" not in consumer_config(asked, group="g")


def test_a_producer_is_idempotent_and_transactional_only_with_an_id() -> None:
    plain, transactional = producer_config(KAFKA), producer_config(KAFKA, transactional_id="t")

    assert plain["enable.idempotence"] is True
    assert "transactional.id" not in plain
    assert transactional["transactional.id"] == "t"
    assert transactional["transaction.timeout.ms"] == 20_000


def test_a_reader_starts_at_the_beginning_whatever_is_set_for_the_consumer() -> None:
    config = reader_config(KAFKA | {"auto.offset.reset": "latest"}, group="r")

    assert (config["auto.offset.reset"], config["enable.partition.eof"]) == ("earliest", True)


def test_a_reader_works_with_either_group_protocol() -> None:
    """It joins no group, and the client refuses keys of the other protocol."""
    Consumer(
        reader_config(KAFKA | {"group.protocol": "consumer"}, group="r"), logger=quiet_logger()
    ).close()
