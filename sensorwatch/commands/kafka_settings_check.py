"""Check whether librdkafka and the consumer can work with the [kafka] settings."""

from collections.abc import Mapping
from typing import Any

from confluent_kafka import Consumer, KafkaException, Producer

from sensorwatch.common.errors import SettingsError
from sensorwatch.common.kafka.client_config import consumer_config, producer_config
from sensorwatch.common.kafka.silent_logger import silent_logger


def check_client_settings(
    kafka: Mapping[str, Any], *, group: str, max_pause_seconds: float
) -> None:
    """Check the [kafka] settings: create both Kafka clients of the consumer, without a broker.

    `max_pause_seconds`: the longest time between two polls of the consumer. Raises SettingsError if
    librdkafka refuses a key or value, if a value excludes exactly-once delivery, or if the group
    would expel a consumer during the longest pause.
    """
    consumer_settings = consumer_config(kafka, group=group)
    producer_settings = producer_config(kafka)
    try:
        Consumer(consumer_settings, logger=silent_logger()).close()
        Producer(producer_settings, logger=silent_logger())
    except (KafkaException, TypeError, ValueError) as error:
        text = error.args[0].str() if isinstance(error, KafkaException) else str(error)
        raise SettingsError(f"[kafka] is refused by librdkafka: {text}") from error
    max_poll_seconds = float(consumer_settings["max.poll.interval.ms"]) / 1000
    if max_pause_seconds >= max_poll_seconds:
        raise SettingsError(
            f"the consumer may be busy for {max_pause_seconds:g} s, but the group expels it "
            f"after {max_poll_seconds:g} s: "
            'raise [kafka] "max.poll.interval.ms" or lower [consumer] commit_deadline_seconds and '
            "max_wait_ms"
        )
