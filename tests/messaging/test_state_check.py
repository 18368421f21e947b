"""Topics from which no memory could be restored are refused before anything is scored."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException

from common.errors import BrokerUnavailable, DataError, SettingsError, StateRefused
from common.messaging.embedded import EmbeddedBroker
from common.messaging.state_check import check_state_topics, settings_of
from tests.brokers.kafka import Kafka
from tests.brokers.mock_cluster import MockCluster

HOUR_MS = 3_600_000


def check(
    address: str,
    readings: str,
    state: str,
    *,
    every: float = 3_600,
    ask: Callable[[Mapping[str, Any], str, float], Mapping[str, str]] = settings_of,
) -> list[str]:
    warnings: list[str] = []
    check_state_topics(
        {"bootstrap.servers": address},
        readings=readings,
        state=state,
        snapshot_every_seconds=every,
        warn=warnings.append,
        ask=ask,
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

    (warning,) = check(mock_cluster.address, "input", "state", ask=refused)

    assert '"input" cannot be seen' in warning
    assert "more than two snapshot intervals, 7 200 s" in warning


@pytest.mark.broker
def test_a_compacted_input_and_one_kept_too_shortly_are_refused(kafka: Kafka) -> None:
    stem = kafka.unused_topic("state")
    compacted = kafka.create_topic(f"{stem}.compacted", cleanup_policy="compact,delete")
    short = kafka.create_topic(f"{stem}.short", retention_ms=str(2 * HOUR_MS))
    endless = kafka.create_topic(f"{stem}.endless", retention_ms="-1")

    with pytest.raises(DataError, match=f'"{compacted}" is compacted .*compact,delete'):
        check(kafka.address, compacted, stem)
    with pytest.raises(SettingsError, match=r"for 7 200 s .* every 3 601 s"):
        check(kafka.address, short, stem, every=3_601)
    assert check(kafka.address, short, stem) == []
    assert check(kafka.address, endless, stem, every=86_400) == []
