"""Checks that the scores topic exists and keeps its records for a limited time."""

from collections.abc import Callable, Mapping
from typing import Any

from sensorwatch.common.kafka.state_check import (
    CALL_TIMEOUT_SECONDS,
    CLEANUP_POLICY,
    RETENTION_MS,
    UNLIMITED,
    TopicConfigReader,
    config_or_warn,
    read_topic_config,
)

RECOMMENDED_RETENTION_MS = 7 * 86_400_000


def check_scores_topic(
    kafka: Mapping[str, Any],
    topic: str,
    *,
    warn: Callable[[str], None],
    timeout: float = CALL_TIMEOUT_SECONDS,
    read_config: TopicConfigReader = read_topic_config,
) -> None:
    """Call `warn` if the settings of the scores topic lose records or keep them without limit.

    The topic must exist. Nothing is raised, because scoring does not depend on this topic.
    """
    recommendation = f"its retention.ms is {RECOMMENDED_RETENTION_MS}"
    config = config_or_warn(read_config, kafka, topic, timeout, warn, recommendation)
    if "compact" in config.get(CLEANUP_POLICY, ""):
        warn(
            f'the scores topic "{topic}" is compacted ({CLEANUP_POLICY} = '
            f"{config[CLEANUP_POLICY]}), so only the newest score record of each partition "
            "remains: set cleanup.policy to delete"
        )
    elif config.get(RETENTION_MS) == UNLIMITED:
        warn(
            f'the scores topic "{topic}" keeps its records without limit ({RETENTION_MS} = '
            f"{UNLIMITED}): set {RETENTION_MS}, for example to {RECOMMENDED_RETENTION_MS} for 7 "
            "days"
        )


def missing_scores_topic(topic: str) -> str:
    """Return the warning that the scores topic does not exist."""
    return (
        f'the broker has no topic "{topic}", so no score records are published: create it with '
        "`sensorwatch topics create` and restart the worker, or set [consumer] scores = false"
    )
