"""Whether input and state topic are such that a memory can be restored from them."""

from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs forgot the second
    AdminClient,
    ConfigResource,
)

from sensorwatch.common.errors import DataError, SettingsError, StateRefused
from sensorwatch.common.kafka.client_config import client_config
from sensorwatch.common.kafka.retrying import RetryPolicy
from sensorwatch.common.kafka.silent_logger import quiet_logger
from sensorwatch.common.kafka.topics import require_topics

CALL_TIMEOUT_SECONDS = 10.0
CLEANUP_POLICY, RETENTION_MS, RETENTION_BYTES, UNLIMITED = (
    "cleanup.policy",
    "retention.ms",
    "retention.bytes",
    "-1",
)
TopicConfigReader = Callable[[Mapping[str, Any], str, float], Mapping[str, str]]
"""Gives the settings of a topic, as `read_topic_config` does."""


def read_topic_config(kafka: Mapping[str, Any], topic: str, timeout: float) -> dict[str, str]:
    """Return the settings in force of a topic; none where the broker has none.

    Raises KafkaException where the broker does not tell.
    """
    admin = AdminClient(client_config(kafka), logger=quiet_logger())
    metadata = admin.list_topics(topic, timeout=timeout)
    if metadata.controller_id not in metadata.brokers:
        return {}  # the embedded broker would let us wait, and has no settings to tell
    resource = ConfigResource(ConfigResource.Type.TOPIC, topic)
    (answer,) = admin.describe_configs([resource], request_timeout=timeout).values()
    return {name: str(entry.value) for name, entry in answer.result().items()}


def check_state_topics(
    kafka: Mapping[str, Any],
    *,
    readings: str,
    state: str,
    snapshot_every_seconds: float,
    warn: Callable[[str], None],
    timeout: float = CALL_TIMEOUT_SECONDS,
    read_config: TopicConfigReader = read_topic_config,
) -> None:
    """Refuse what would make a restore impossible some day.

    `warn`: is told what the broker does not let us see, and what only may be too little. Raises
    StateRefused where the topics differ in partitions, DataError where the input is compacted,
    SettingsError where the state is, or where one of them is not kept for two intervals of
    snapshots, BrokerUnavailable where a topic or the broker is not there.
    """
    partitions = require_topics(kafka, [readings, state], timeout=timeout)
    if partitions[readings] != partitions[state]:
        raise StateRefused(
            f'the input "{readings}" has {partitions[readings]} partitions, and "{state}", which '
            f"keeps the memory of each, has {partitions[state]}. Where partitions were added to "
            "the input, sensors have moved between them, and no memory fits any more: see what "
            "`sensorwatch state reset` would lose, and run it to start cold. Where the state's "
            "topic was made by hand, give it as many partitions as the input"
        )
    min_retention_seconds = 2 * snapshot_every_seconds
    config = _config_or_warn(
        read_config,
        kafka,
        readings,
        timeout,
        warn,
        f"its retention.ms more than {_seconds_text(min_retention_seconds)}",
    )
    _check_readings(readings, config, snapshot_every_seconds, warn)
    config = _config_or_warn(
        read_config, kafka, state, timeout, warn, "its retention.ms and retention.bytes -1"
    )
    _check_state(state, config, min_retention_seconds, warn)


def _config_or_warn(
    read_config: TopicConfigReader,
    kafka: Mapping[str, Any],
    topic: str,
    timeout: float,
    warn: Callable[[str], None],
    wanted: str,
) -> Mapping[str, str]:
    """Return the settings of a topic; where they cannot be seen none, and a person is told."""
    try:
        return RetryPolicy(timeout).ask(lambda: read_config(kafka, topic, timeout))
    except KafkaException as error:
        warn(
            f'the settings of "{topic}" cannot be seen ({error.args[0].str()}): make sure yourself '
            f'that its cleanup.policy is "delete", and {wanted}'
        )
        return {}


def _check_readings(
    topic: str,
    config: Mapping[str, str],
    every_seconds: float,
    warn: Callable[[str], None],
) -> None:
    if "compact" in config.get(CLEANUP_POLICY, ""):
        raise DataError(
            f'the input "{topic}" is compacted ({CLEANUP_POLICY} = {config[CLEANUP_POLICY]}): records vanish from '
            "its middle, so that neither a memory can be restored from them nor the ledger be "
            "verified. Set cleanup.policy to delete, or read another topic"
        )
    retention_seconds = int(config.get(RETENTION_MS, UNLIMITED)) / 1000
    if 0 <= retention_seconds < 2 * every_seconds:
        raise SettingsError(
            f'the input "{topic}" keeps its records for {_seconds_text(retention_seconds)} (retention.ms), and the '
            f"memory is written down every {_seconds_text(every_seconds)} ([consumer] "
            "snapshot_every_seconds): what lies between must still be there after a crash. Keep "
            "the records for at least two intervals, or lower snapshot_every_seconds"
        )
    retention_bytes = int(config.get(RETENTION_BYTES, UNLIMITED))
    if retention_bytes >= 0:
        warn(
            f'the input "{topic}" keeps {_with_spaces(retention_bytes)} bytes of each partition (retention.bytes): '
            "make sure yourself that no more comes in two snapshot intervals, "
            f"{_seconds_text(2 * every_seconds)}"
        )


def _check_state(
    topic: str, config: Mapping[str, str], min_retention_seconds: float, warn: Callable[[str], None]
) -> None:
    if "compact" in config.get(CLEANUP_POLICY, ""):
        raise SettingsError(
            f'the state\'s topic "{topic}" is compacted ({CLEANUP_POLICY} = {config[CLEANUP_POLICY]}): parts of '
            "snapshots vanish, and with them the memory. Set cleanup.policy to delete; the worker "
            "deletes old snapshots itself"
        )
    retention_seconds = int(config.get(RETENTION_MS, UNLIMITED)) / 1000
    if 0 <= retention_seconds < min_retention_seconds:
        raise SettingsError(
            f'the state\'s topic "{topic}" keeps its records for {_seconds_text(retention_seconds)} (retention.ms), '
            f"which is less than two snapshot intervals, {_seconds_text(min_retention_seconds)}: the memory would be gone. "
            "Set retention.ms to -1; the worker deletes old snapshots itself"
        )
    for name in (RETENTION_MS, RETENTION_BYTES):
        if int(config.get(name, UNLIMITED)) >= 0:
            warn(
                f'the state\'s topic "{topic}" has {name} = {config[name]}: the memory of a '
                f"partition that is silent for long will be gone. Set {name} to -1; the worker "
                "deletes old snapshots itself"
            )


def _with_spaces(count: float) -> str:
    return f"{count:,.15g}".replace(",", " ")


def _seconds_text(seconds: float) -> str:
    return f"{_with_spaces(seconds)} s"
