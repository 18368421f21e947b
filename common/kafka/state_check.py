"""Checks that a memory can be restored from the input topic and the state topic."""

from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # the stubs lack ConfigResource
    AdminClient,
    ConfigResource,
)

from sensorwatch.common.errors import DataError, SettingsError, StateRefused
from sensorwatch.common.kafka.client_config import client_config
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.kafka.topics import require_topics

CALL_TIMEOUT_SECONDS = 10.0
CLEANUP_POLICY, RETENTION_MS, RETENTION_BYTES, UNLIMITED = (
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "-1",
)
TopicConfigReader = Callable[[Mapping[str, Any], str, float], Mapping[str, str]]
"""A function that returns the settings of a topic, such as `read_topic_config`."""


def read_topic_config(kafka: Mapping[str, Any], topic: str, timeout: float) -> dict[str, str]:
    """Return the effective settings of a topic; an empty dict if the broker cannot list settings.

    Raises KafkaException if the broker does not answer or refuses the request.
    """
    admin = AdminClient(client_config(kafka), logger=silent_logger())
    metadata = admin.list_topics(topic, timeout=timeout)
    if metadata.controller_id not in metadata.brokers:
        return {}  # librdkafka's mock cluster has no controller and would never answer
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    (future,) = admin.describe_configs([resource], request_timeout=timeout).values()
    return {name: str(entry.value) for name, entry in future.result().items()}


def check_state_topics(
    kafka: Mapping[str, Any],
    *,
    readings_topic: str,
    state_topic: str,
    snapshot_every_seconds: float,
    warn: Callable[[str], None],
    timeout: float = CALL_TIMEOUT_SECONDS,
    read_config: TopicConfigReader = read_topic_config,
) -> None:
    """Raise an error if the topics' settings would make a later restore impossible.

    Calls `warn` with a message if a topic's settings cannot be read, or if records might be deleted
    too early. Raises StateRefused if the topics have different numbers of partitions. Raises
    DataError if the input is compacted. Raises SettingsError if the state topic is compacted, or if
    the retention of either topic is below two snapshot intervals. Raises BrokerUnavailable if a
    topic is missing or the broker does not answer.
    """
    partition_counts = require_topics(kafka, [readings_topic, state_topic], timeout=timeout)
    if partition_counts[readings_topic] != partition_counts[state_topic]:
        raise StateRefused(
            f'the input "{readings_topic}" has {partition_counts[readings_topic]} partitions, but '
            f'the state topic "{state_topic}" has {partition_counts[state_topic]}; both need the '
            "same number.\n"
            "If partitions were added to the input, sensors moved between them and no memory fits: "
            "run `sensorwatch state reset` to see what is lost, and to start with a cold memory.\n"
            "If the state topic was created by hand, give it as many partitions as the input"
        )
    min_retention_seconds = 2 * snapshot_every_seconds
    config = config_or_warn(
        read_config,
        kafka,
        readings_topic,
        timeout,
        warn,
        f"its retention.ms is more than {_seconds_text(min_retention_seconds)}",
    )
    _check_readings(readings_topic, config, snapshot_every_seconds, warn)
    config = config_or_warn(
        read_config,
        kafka,
        state_topic,
        timeout,
        warn,
        "its retention.ms and retention.bytes are -1",
    )
    _check_state(state_topic, config, min_retention_seconds, warn)


def config_or_warn(
    read_config: TopicConfigReader,
    kafka: Mapping[str, Any],
    topic: str,
    timeout: float,
    warn: Callable[[str], None],
    recommendation: str,
) -> Mapping[str, str]:
    """Return the settings of a topic, or warn and return an empty dict if they cannot be read.

    `recommendation`: the text of a setting that the person should check instead.
    """
    try:
        return RetryPolicy(timeout).ask(lambda: read_config(kafka, topic, timeout))
    except KafkaException as error:
        warn(
            f'the settings of "{topic}" cannot be read ({error.args[0].str()}): check that its '
            f'cleanup.policy is "delete", and {recommendation}'
        )
        return {}


def _check_readings(
    topic: str,
    config: Mapping[str, str],
    snapshot_every_seconds: float,
    warn: Callable[[str], None],
) -> None:
    if "compact" in config.get(CLEANUP_POLICY, ""):
        raise DataError(
            f'the input "{topic}" is compacted ({CLEANUP_POLICY} = {config[CLEANUP_POLICY]}). '
            "Compaction deletes records, so no memory could be restored and the ledger could not "
            "be verified. Set cleanup.policy to delete, or read another topic"
        )
    retention_seconds = int(config.get(RETENTION_MS, UNLIMITED)) / 1000
    if 0 <= retention_seconds < 2 * snapshot_every_seconds:
        raise SettingsError(
            f'the input "{topic}" keeps its records for {_seconds_text(retention_seconds)} '
            "(retention.ms), but a snapshot is written every "
            f"{_seconds_text(snapshot_every_seconds)} ([consumer] snapshot_every_seconds). "
            "A restore needs all records since the last snapshot. Keep the records for at "
            "least two intervals, or lower snapshot_every_seconds"
        )
    retention_bytes = int(config.get(RETENTION_BYTES, UNLIMITED))
    if retention_bytes >= 0:
        warn(
            f'the input "{topic}" keeps {_grouped_digits(retention_bytes)} bytes of each partition '
            "(retention.bytes): check that fewer bytes arrive within two snapshot intervals, "
            f"{_seconds_text(2 * snapshot_every_seconds)}"
        )


def _check_state(
    topic: str, config: Mapping[str, str], min_retention_seconds: float, warn: Callable[[str], None]
) -> None:
    if "compact" in config.get(CLEANUP_POLICY, ""):
        raise SettingsError(
            f'the state topic "{topic}" is compacted ({CLEANUP_POLICY} = '
            f"{config[CLEANUP_POLICY]}), which deletes chunks of snapshots. Set cleanup.policy to "
            "delete; the worker deletes old snapshots itself"
        )
    retention_seconds = int(config.get(RETENTION_MS, UNLIMITED)) / 1000
    if 0 <= retention_seconds < min_retention_seconds:
        raise SettingsError(
            f'the state topic "{topic}" keeps its records for {_seconds_text(retention_seconds)} '
            "(retention.ms), which is less than two snapshot intervals, "
            f"{_seconds_text(min_retention_seconds)}. Set retention.ms to -1; the worker deletes "
            "old snapshots itself"
        )
    for name in (RETENTION_MS, RETENTION_BYTES):
        if int(config.get(name, UNLIMITED)) >= 0:
            warn(
                f'the state topic "{topic}" has {name} = {config[name]}: the memory of a partition '
                f"without new records may be deleted. Set {name} to -1; the worker deletes old "
                "snapshots itself"
            )


def _grouped_digits(count: float) -> str:
    return f"{count:,.15g}".replace(",", " ")


def _seconds_text(seconds: float) -> str:
    return f"{_grouped_digits(seconds)} s"
