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
from common.messaging.topics import require_topics

CALL_SECONDS = 10.0


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
    ask: Callable[[Mapping[str, Any], str, float], Mapping[str, str]] = settings_of,
) -> None:
    """Refuse what would make a restore impossible some day.

    `warn`: is told what the broker does not let us see. Raises StateRefused where the topics differ
    in partitions, DataError where the input is compacted, SettingsError where it is not kept for
    two intervals of snapshots, BrokerUnavailable where a topic or the broker is not there.
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
    try:
        config = ask(kafka, readings, timeout)
    except KafkaException as error:
        warn(
            f'the settings of "{readings}" cannot be seen ({error.args[0].str()}): make sure '
            'yourself that its cleanup.policy is "delete", and that its retention.ms is more than '
            f"two snapshot intervals, {_text(2 * snapshot_every_seconds)}"
        )
        return
    _check_kept(readings, config, snapshot_every_seconds)


def _check_kept(readings: str, config: Mapping[str, str], snapshot_every_seconds: float) -> None:
    if "compact" in config.get("cleanup.policy", ""):
        raise DataError(
            f'the input "{readings}" is compacted (cleanup.policy = {config["cleanup.policy"]}): '
            "records vanish from its middle, so that neither a memory can be restored from them "
            "nor the ledger be verified. Set cleanup.policy to delete, or read another topic"
        )
    kept = int(config.get("retention.ms", "-1")) / 1000
    if 0 <= kept < 2 * snapshot_every_seconds:
        raise SettingsError(
            f'the input "{readings}" keeps its records for {_text(kept)} (retention.ms), and the '
            f"memory is written down every {_text(snapshot_every_seconds)} ([consumer] "
            "snapshot_every_seconds): what lies between must still be there after a crash. Keep "
            "the records for at least two intervals, or lower snapshot_every_seconds"
        )


def _text(seconds: float) -> str:
    return f"{seconds:,.15g} s".replace(",", " ")
