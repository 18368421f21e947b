"""Whether input and state topic are such that a memory can be restored from them."""

from collections.abc import Callable, Mapping
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # its stubs forgot the second
    AdminClient,
    ConfigResource,
)

from common.errors import DataError, SettingsError, StateRefused
from common.messaging.kafka_config import client_config
from common.messaging.quiet import quiet_logger
from common.messaging.retrying import RetryPolicy
from common.messaging.topics import require_topics

CALL_SECONDS = 10.0
POLICY, MS, BYTES, NO_END = "cleanup.policy", "retention.ms", "retention.bytes", "-1"
Ask = Callable[[Mapping[str, Any], str, float], Mapping[str, str]]
"""Gives the settings of a topic, as `settings_of` does."""


def settings_of(kafka: Mapping[str, Any], topic: str, timeout: float) -> dict[str, str]:
    """Return the settings in force of a topic; none where the broker has none.

    Raises KafkaException where the broker does not tell.
    """
    admin = AdminClient(client_config(kafka), logger=quiet_logger())
    there = admin.list_topics(topic, timeout=timeout)
    if there.controller_id not in there.brokers:
        return {}  # the embedded broker would let us wait, and has no settings to tell
    asked = ConfigResource(ConfigResource.Type.TOPIC, topic)
    (answer,) = admin.describe_configs([asked], request_timeout=timeout).values()
    return {name: str(entry.value) for name, entry in answer.result().items()}


def check_state_topics(
    kafka: Mapping[str, Any],
    *,
    readings: str,
    state: str,
    snapshot_every_seconds: float,
    warn: Callable[[str], None],
    timeout: float = CALL_SECONDS,
    ask: Ask = settings_of,
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
    least = 2 * snapshot_every_seconds
    seen = _seen(ask, kafka, readings, timeout, warn, f"its retention.ms more than {_text(least)}")
    _check_readings(readings, seen, snapshot_every_seconds, warn)
    seen = _seen(ask, kafka, state, timeout, warn, "its retention.ms and retention.bytes -1")
    _check_state(state, seen, least, warn)


def _seen(
    ask: Ask,
    kafka: Mapping[str, Any],
    topic: str,
    timeout: float,
    warn: Callable[[str], None],
    wanted: str,
) -> Mapping[str, str]:
    """Return the settings of a topic; where they cannot be seen none, and a person is told."""
    try:
        return RetryPolicy(timeout).ask(lambda: ask(kafka, topic, timeout))
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
    if "compact" in config.get(POLICY, ""):
        raise DataError(
            f'the input "{topic}" is compacted ({POLICY} = {config[POLICY]}): records vanish from '
            "its middle, so that neither a memory can be restored from them nor the ledger be "
            "verified. Set cleanup.policy to delete, or read another topic"
        )
    kept = int(config.get(MS, NO_END)) / 1000
    if 0 <= kept < 2 * every_seconds:
        raise SettingsError(
            f'the input "{topic}" keeps its records for {_text(kept)} (retention.ms), and the '
            f"memory is written down every {_text(every_seconds)} ([consumer] "
            "snapshot_every_seconds): what lies between must still be there after a crash. Keep "
            "the records for at least two intervals, or lower snapshot_every_seconds"
        )
    room = int(config.get(BYTES, NO_END))
    if room >= 0:
        warn(
            f'the input "{topic}" keeps {_number(room)} bytes of each partition (retention.bytes): '
            "make sure yourself that no more comes in two snapshot intervals, "
            f"{_text(2 * every_seconds)}"
        )


def _check_state(
    topic: str, config: Mapping[str, str], least: float, warn: Callable[[str], None]
) -> None:
    if "compact" in config.get(POLICY, ""):
        raise SettingsError(
            f'the state\'s topic "{topic}" is compacted ({POLICY} = {config[POLICY]}): parts of '
            "snapshots vanish, and with them the memory. Set cleanup.policy to delete; the worker "
            "deletes old snapshots itself"
        )
    kept = int(config.get(MS, NO_END)) / 1000
    if 0 <= kept < least:
        raise SettingsError(
            f'the state\'s topic "{topic}" keeps its records for {_text(kept)} (retention.ms), '
            f"which is less than two snapshot intervals, {_text(least)}: the memory would be gone. "
            "Set retention.ms to -1; the worker deletes old snapshots itself"
        )
    for name in (MS, BYTES):
        if int(config.get(name, NO_END)) >= 0:
            warn(
                f'the state\'s topic "{topic}" has {name} = {config[name]}: the memory of a '
                f"partition that is silent for long will be gone. Set {name} to -1; the worker "
                "deletes old snapshots itself"
            )


def _number(count: float) -> str:
    return f"{count:,.15g}".replace(",", " ")


def _text(seconds: float) -> str:
    return f"{_number(seconds)} s"
