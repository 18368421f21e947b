"""Users may set every librdkafka key except the few on which exactly-once processing depends."""

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
from sensorwatch.common.kafka.silent_logger import silent_logger

USER_KAFKA_SETTINGS = {"bootstrap.servers": "here:9092"}


@pytest.mark.parametrize(
    "forbidden_setting",
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
def test_a_consumer_key_that_exactly_once_depends_on_is_refused(
    forbidden_setting: dict[str, Any],
) -> None:
    (name,) = forbidden_setting

    with pytest.raises(SettingsError, match=name):
        consumer_config(USER_KAFKA_SETTINGS | forbidden_setting, group="g")


@pytest.mark.parametrize(
    "forbidden_setting", [{"enable.idempotence": False}, {"transactional.id": "mine"}], ids=str
)
def test_a_producer_key_that_exactly_once_depends_on_is_refused(
    forbidden_setting: dict[str, Any],
) -> None:
    (name,) = forbidden_setting

    with pytest.raises(SettingsError, match=name):
        producer_config(USER_KAFKA_SETTINGS | forbidden_setting, transactional_id="g.0.0")


def test_a_fixed_key_may_be_set_to_its_fixed_value() -> None:
    fixed_settings = {
        "enable.auto.commit": "false",
        "isolation.level": "read_committed",
        "group.id": "g",
    }

    assert (
        consumer_config(USER_KAFKA_SETTINGS | fixed_settings, group="g")["enable.auto.commit"]
        is False
    )


def test_a_user_setting_replaces_the_default() -> None:
    user_settings = USER_KAFKA_SETTINGS | {
        "fetch.queue.backoff.ms": 50,
        "linger.ms": 100,
        "sasl.username": "me",
    }

    consumer, producer = consumer_config(user_settings, group="g"), producer_config(user_settings)

    assert consumer["fetch.queue.backoff.ms"] == 50
    assert producer["linger.ms"] == 100
    assert client_config(user_settings)["sasl.username"] == "me"


def test_a_transactional_producer_has_a_short_retry_backoff_by_default() -> None:
    assert producer_config(USER_KAFKA_SETTINGS, transactional_id="g.0.0")["retry.backoff.ms"] == 20
    user_config = producer_config(
        USER_KAFKA_SETTINGS | {"retry.backoff.ms": 500}, transactional_id="g.0.0"
    )
    assert user_config["retry.backoff.ms"] == 500
    assert "retry.backoff.ms" not in producer_config(USER_KAFKA_SETTINGS)


def test_a_consumer_reads_only_committed_records() -> None:
    config = consumer_config(USER_KAFKA_SETTINGS, group="g")

    assert config["isolation.level"] == "read_committed"
    assert config["auto.offset.reset"] == "error"
    assert config["group.id"] == "g"


def test_the_session_timeout_is_not_set_for_the_consumer_protocol() -> None:
    assert "session.timeout.ms" in consumer_config(USER_KAFKA_SETTINGS, group="g")
    user_settings = USER_KAFKA_SETTINGS | {"group.protocol": "consumer"}
    assert "session.timeout.ms" not in consumer_config(user_settings, group="g")


def test_a_producer_is_idempotent_and_transactional_only_with_an_id() -> None:
    plain_config, transactional_config = (
        producer_config(USER_KAFKA_SETTINGS),
        producer_config(USER_KAFKA_SETTINGS, transactional_id="t"),
    )

    assert plain_config["enable.idempotence"] is True
    assert "transactional.id" not in plain_config
    assert transactional_config["transactional.id"] == "t"
    assert transactional_config["transaction.timeout.ms"] == 20_000


def test_a_reader_starts_at_the_beginning_even_if_the_consumer_does_not() -> None:
    config = reader_config(USER_KAFKA_SETTINGS | {"auto.offset.reset": "latest"}, group="r")

    assert (config["auto.offset.reset"], config["enable.partition.eof"]) == ("earliest", True)


def test_a_reader_works_with_either_group_protocol() -> None:
    """A reader joins no group, but the client refuses the keys of the other group protocol."""
    Consumer(
        reader_config(USER_KAFKA_SETTINGS | {"group.protocol": "consumer"}, group="r"),
        logger=silent_logger(),
    ).close()
