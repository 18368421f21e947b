"""Loads the policy in force and shows each change in metrics and logs."""

import time

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.registry.policy_follower import PolicyFollower
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.runtime.logs import logger
from sensorwatch.common.runtime.metrics import PolicyMetrics
from sensorwatch.common.runtime.setting_keys import Settings

WARN_DAYS = 30
"""A warning is logged if the calendar of an adopted policy ends within this number of days."""

_log = logger("consumer")


def follow_policy(settings: Settings, metrics: PolicyMetrics) -> PolicyFollower:
    """Load the current policy and follow it; metrics and logs show each change.

    Raises ModelRefused if the current policy cannot be loaded.
    """

    def on_adopted(policy: AlarmPolicy | None) -> None:
        if policy is not None:
            end = policy.content.calendar_end
            metrics.adopted(policy.id, policy.labels, (end or 0) / 1_000_000)
            _log.info(
                "policy adopted",
                policy=policy.id,
                rules=len(policy.rules),
                windows=len(policy.windows),
                learned=len(policy.learned.suppressions),
            )
            _warn_of_calendar_end(policy)

    def on_refused(error: ModelRefused) -> None:
        _log.error("policy refused, the last good policy stays in force", why=str(error))

    return PolicyFollower(
        PolicyRegistry(settings.registry.path, settings.registry.model),
        on_adopted=on_adopted,
        on_refused=on_refused,
    )


def _warn_of_calendar_end(policy: AlarmPolicy) -> None:
    end = policy.content.calendar_end
    if end is not None and end / 1_000_000 < time.time() + WARN_DAYS * 86_400:
        _log.warning(
            "the recurring windows of the policy end soon or have ended: apply the policy file "
            "again with `sensorwatch rules apply FILE`",
            policy=policy.id,
            end=format_instant(end),
        )
