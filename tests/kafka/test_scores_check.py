"""A scores topic that loses its records, or keeps them for ever, causes a warning."""

from collections.abc import Mapping

import pytest
from confluent_kafka import KafkaError, KafkaException

from sensorwatch.common.kafka.scores_check import check_scores_topic, missing_scores_topic


def warnings_for(config: Mapping[str, str] | KafkaError) -> list[str]:
    """Return the warnings for a topic with these settings, or whose settings give an error."""
    warnings: list[str] = []

    def read_config(_kafka: object, _topic: str, _timeout: float) -> Mapping[str, str]:
        if isinstance(config, KafkaError):
            raise KafkaException(config)
        return config

    check_scores_topic({}, "g.scores", warn=warnings.append, read_config=read_config)
    return warnings


@pytest.mark.parametrize(
    ("config", "fragment"),
    [
        ({"cleanup.policy": "compact,delete"}, '"g.scores" is compacted'),
        ({"cleanup.policy": "delete", "retention.ms": "-1"}, "retention.ms = -1"),
        (KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED), "cannot be read"),
    ],
)
def test_a_warning_names_the_setting(config: Mapping[str, str] | KafkaError, fragment: str) -> None:
    (warning,) = warnings_for(config)

    assert fragment in warning


@pytest.mark.parametrize("config", [{"cleanup.policy": "delete", "retention.ms": "604800000"}, {}])
def test_usual_settings_cause_no_warning(config: Mapping[str, str]) -> None:
    assert warnings_for(config) == []


def test_the_warning_about_a_missing_topic_names_both_remedies() -> None:
    warning = missing_scores_topic("g.scores")

    assert '"g.scores"' in warning
    assert "`sensorwatch topics create`" in warning
    assert "[consumer] scores = false" in warning
