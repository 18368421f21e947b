"""Topics from which no memory could be restored are refused before anything is scored."""

from collections.abc import Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from sensorwatch.common.errors import BrokerUnavailable, DataError, SettingsError, StateRefused
from sensorwatch.common.kafka.state_check import (
    TopicConfigReader,
    check_state_topics,
    read_topic_config,
)
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests.brokers.kafka import Kafka
from tests.brokers.mock_cluster import MockCluster

HOUR_MS = 3_600_000


def check(
    address: str,
    readings: str,
    state: str,
    *,
    every: float = 3_600,
    read_config: TopicConfigReader = read_topic_config,
) -> list[str]:
    warnings: list[str] = []
    check_state_topics(
        {"bootstrap.servers": address},
        readings=readings,
        state=state,
        snapshot_every_seconds=every,
        warn=warnings.append,
        read_config=read_config,
    )
    return warnings


@pytest.mark.embedded
def test_another_number_of_partitions_is_refused_with_both_and_the_remedy(
    mock_cluster: MockCluster,
) -> None:
    mock_cluster.topic_create("input", 4)
    mock_cluster.topic_create("state", 3)

    with pytest.raises(StateRefused, match=r'"input" has 4 .* "state".* has 3') as caught:
        check(mock_cluster.address, "input", "state")

    assert "`sensorwatch state reset`" in str(caught.value)


@pytest.mark.embedded
def test_a_missing_state_topic_is_named(mock_cluster: MockCluster) -> None:
    mock_cluster.topic_create("input", 4)

    with pytest.raises(BrokerUnavailable, match='no topic "state"'):
        check(mock_cluster.address, "input", "state")


@pytest.mark.embedded
def test_the_embedded_broker_has_no_settings_and_is_not_warned_of(
    embedded_broker: EmbeddedBroker,
) -> None:
    for name in ("input", "state"):
        embedded_broker.create_topic(name)

    assert check(embedded_broker.address, "input", "state") == []


@pytest.mark.embedded
def test_what_we_may_not_see_is_left_to_a_person(mock_cluster: MockCluster) -> None:
    for name in ("input", "state"):
        mock_cluster.topic_create(name)

    def refused(_kafka: Mapping[str, Any], _topic: str, _timeout: float) -> Mapping[str, str]:
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    of_input, of_state = check(mock_cluster.address, "input", "state", read_config=refused)

    assert '"input" cannot be read' in of_input
    assert "its retention.ms more than 7 200 s" in of_input
    assert '"state" cannot be read' in of_state
    assert "its retention.ms and retention.bytes -1" in of_state


def config_reader(**settings: Mapping[str, str]) -> TopicConfigReader:
    """A broker with these settings of topics."""
    return lambda _kafka, topic, _timeout: settings.get(topic, {})


@pytest.mark.embedded
def test_a_compacted_state_and_one_kept_too_shortly_are_refused(mock_cluster: MockCluster) -> None:
    for name in ("input", "state"):
        mock_cluster.topic_create(name)
    compacted = config_reader(state={"cleanup.policy": "compact,delete"})
    short = config_reader(state={"retention.ms": str(2 * HOUR_MS - 1)})

    with pytest.raises(SettingsError, match=r'"state" is compacted .*compact,delete'):
        check(mock_cluster.address, "input", "state", read_config=compacted)
    with pytest.raises(SettingsError, match=r'"state" keeps .* for 7 199\.999 s .* 7 200 s'):
        check(mock_cluster.address, "input", "state", read_config=short)


@pytest.mark.embedded
@pytest.mark.parametrize("name", ["retention.ms", "retention.bytes"])
def test_a_state_that_may_expire_is_told(mock_cluster: MockCluster, name: str) -> None:
    for topic in ("input", "state"):
        mock_cluster.topic_create(topic)

    def warnings_for(value: str) -> list[str]:
        return check(
            mock_cluster.address, "input", "state", read_config=config_reader(state={name: value})
        )

    (warning,) = warnings_for(str(2 * HOUR_MS))
    assert f'"state" has {name} = 7200000' in warning
    assert f"Set {name} to -1" in warning
    assert warnings_for("-1") == []


@pytest.mark.embedded
def test_an_input_bounded_in_bytes_is_told(mock_cluster: MockCluster) -> None:
    for topic in ("input", "state"):
        mock_cluster.topic_create(topic)

    def warnings_for(value: str) -> list[str]:
        asked = config_reader(input={"retention.bytes": value})
        return check(mock_cluster.address, "input", "state", read_config=asked)

    (warning,) = warnings_for("5000000")
    assert '"input" keeps 5 000 000 bytes of each partition' in warning
    assert warnings_for("-1") == []


@pytest.mark.broker
def test_a_compacted_input_and_one_kept_too_shortly_are_refused(kafka: Kafka) -> None:
    stem = kafka.unused_topic("state")
    state = kafka.create_topic(f"{stem}.kept", retention_ms="-1")
    compacted = kafka.create_topic(f"{stem}.compacted", cleanup_policy="compact,delete")
    short = kafka.create_topic(f"{stem}.short", retention_ms=str(2 * HOUR_MS))
    endless = kafka.create_topic(f"{stem}.endless", retention_ms="-1")

    with pytest.raises(DataError, match=f'"{compacted}" is compacted .*compact,delete'):
        check(kafka.address, compacted, state)
    with pytest.raises(SettingsError, match=r"for 7 200 s .* every 3 601 s"):
        check(kafka.address, short, state, every=3_601)
    assert check(kafka.address, short, state) == []
    assert check(kafka.address, endless, state, every=86_400) == []


@pytest.mark.broker
def test_a_real_broker_tells_of_the_state_too(kafka: Kafka) -> None:
    stem = kafka.unused_topic("state")
    readings = kafka.create_topic(f"{stem}.readings")
    compacted = kafka.create_topic(f"{stem}.compacted", cleanup_policy="compact")
    bounded = kafka.create_topic(f"{stem}.bounded", retention_ms="-1", retention_bytes="1000000")

    with pytest.raises(SettingsError, match=f'"{compacted}" is compacted'):
        check(kafka.address, readings, compacted)
    (warning,) = check(kafka.address, readings, bounded)
    assert "retention.bytes = 1000000" in warning
