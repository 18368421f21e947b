"""The worker refuses topics from which it could not restore a memory, before it scores a row."""

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


def check_topics(
    address: str,
    readings: str,
    state_topic: str,
    *,
    snapshot_seconds: float = 3_600,
    read_config: TopicConfigReader = read_topic_config,
) -> list[str]:
    warnings: list[str] = []
    check_state_topics(
        {"bootstrap.servers": address},
        readings_topic=readings,
        state_topic=state_topic,
        snapshot_every_seconds=snapshot_seconds,
        warn=warnings.append,
        read_config=read_config,
    )
    return warnings


@pytest.mark.embedded
def test_the_error_for_different_partition_counts_names_both_and_the_remedy(
    mock_cluster: MockCluster,
) -> None:
    mock_cluster.create_topic("input", 4)
    mock_cluster.create_topic("state", 3)

    with pytest.raises(StateRefused, match=r'"input" has 4 .* "state".* has 3') as error_info:
        check_topics(mock_cluster.address, "input", "state")

    assert "`sensorwatch state reset`" in str(error_info.value)


@pytest.mark.embedded
def test_the_error_names_a_missing_state_topic(mock_cluster: MockCluster) -> None:
    mock_cluster.create_topic("input", 4)

    with pytest.raises(BrokerUnavailable, match='no topic "state"'):
        check_topics(mock_cluster.address, "input", "state")


@pytest.mark.embedded
def test_the_embedded_broker_has_no_topic_settings_and_causes_no_warning(
    embedded_broker: EmbeddedBroker,
) -> None:
    for name in ("input", "state"):
        embedded_broker.create_topic(name)

    assert check_topics(embedded_broker.address, "input", "state") == []


@pytest.mark.embedded
def test_a_warning_asks_for_a_manual_check_if_topic_settings_cannot_be_read(
    mock_cluster: MockCluster,
) -> None:
    for name in ("input", "state"):
        mock_cluster.create_topic(name)

    def raise_refusal(_kafka: Mapping[str, Any], _topic: str, _timeout: float) -> Mapping[str, str]:
        raise KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))

    input_warning, state_warning = check_topics(
        mock_cluster.address, "input", "state", read_config=raise_refusal
    )

    assert '"input" cannot be read' in input_warning
    assert "its retention.ms is more than 7 200 s" in input_warning
    assert '"state" cannot be read' in state_warning
    assert "its retention.ms and retention.bytes are -1" in state_warning


def config_reader(**settings_by_topic: Mapping[str, str]) -> TopicConfigReader:
    """Return a fake reader of topic settings; the keys of `settings_by_topic` are topics."""
    return lambda _kafka, topic, _timeout: settings_by_topic.get(topic, {})


@pytest.mark.embedded
def test_a_state_topic_with_compaction_or_a_short_retention_is_refused(
    mock_cluster: MockCluster,
) -> None:
    for name in ("input", "state"):
        mock_cluster.create_topic(name)
    read_compacted_config = config_reader(state={"cleanup.policy": "compact,delete"})
    short_retention = config_reader(state={"retention.ms": str(2 * HOUR_MS - 1)})

    with pytest.raises(SettingsError, match=r'"state" is compacted .*compact,delete'):
        check_topics(mock_cluster.address, "input", "state", read_config=read_compacted_config)
    with pytest.raises(SettingsError, match=r'"state" keeps .* for 7 199\.999 s .* 7 200 s'):
        check_topics(mock_cluster.address, "input", "state", read_config=short_retention)


@pytest.mark.embedded
@pytest.mark.parametrize("name", ["retention.ms", "retention.bytes"])
def test_a_warning_names_the_setting_that_lets_the_state_topic_expire(
    mock_cluster: MockCluster, name: str
) -> None:
    for topic in ("input", "state"):
        mock_cluster.create_topic(topic)

    def warnings_for(value: str) -> list[str]:
        return check_topics(
            mock_cluster.address, "input", "state", read_config=config_reader(state={name: value})
        )

    (warning,) = warnings_for(str(2 * HOUR_MS))
    assert f'"state" has {name} = 7200000' in warning
    assert f"Set {name} to -1" in warning
    assert warnings_for("-1") == []


@pytest.mark.embedded
def test_a_warning_names_the_size_limit_of_the_input_topic(mock_cluster: MockCluster) -> None:
    for topic in ("input", "state"):
        mock_cluster.create_topic(topic)

    def warnings_for(value: str) -> list[str]:
        read_config = config_reader(input={"retention.bytes": value})
        return check_topics(mock_cluster.address, "input", "state", read_config=read_config)

    (warning,) = warnings_for("5000000")
    assert '"input" keeps 5 000 000 bytes of each partition' in warning
    assert warnings_for("-1") == []


@pytest.mark.broker
def test_an_input_topic_with_compaction_or_a_short_retention_is_refused(kafka: Kafka) -> None:
    topic_prefix = kafka.create_unique_topic("state")
    state_topic = kafka.create_topic(f"{topic_prefix}.kept", retention_ms="-1")
    compacted_topic = kafka.create_topic(
        f"{topic_prefix}.compacted", cleanup_policy="compact,delete"
    )
    short_topic = kafka.create_topic(f"{topic_prefix}.short", retention_ms=str(2 * HOUR_MS))
    endless_topic = kafka.create_topic(f"{topic_prefix}.endless", retention_ms="-1")

    with pytest.raises(DataError, match=f'"{compacted_topic}" is compacted .*compact,delete'):
        check_topics(kafka.address, compacted_topic, state_topic)
    with pytest.raises(SettingsError, match=r"for 7 200 s .* every 3 601 s"):
        check_topics(kafka.address, short_topic, state_topic, snapshot_seconds=3_601)
    assert check_topics(kafka.address, short_topic, state_topic) == []
    assert check_topics(kafka.address, endless_topic, state_topic, snapshot_seconds=86_400) == []


@pytest.mark.broker
def test_the_settings_of_the_state_topic_are_read_from_a_real_broker(kafka: Kafka) -> None:
    topic_prefix = kafka.create_unique_topic("state")
    readings = kafka.create_topic(f"{topic_prefix}.readings")
    compacted_topic = kafka.create_topic(f"{topic_prefix}.compacted", cleanup_policy="compact")
    bounded_topic = kafka.create_topic(
        f"{topic_prefix}.bounded", retention_ms="-1", retention_bytes="1000000"
    )

    with pytest.raises(SettingsError, match=f'"{compacted_topic}" is compacted'):
        check_topics(kafka.address, readings, compacted_topic)
    (warning,) = check_topics(kafka.address, readings, bounded_topic)
    assert "retention.bytes = 1000000" in warning
