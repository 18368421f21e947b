"""Builders of policies from the text of a policy file."""

from datetime import UTC, datetime

from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.policy.declarations import parse_policy

BUILD_TIME = datetime(2025, 1, 1, 12, tzinfo=UTC)


def a_policy(text: str, *, now: datetime = BUILD_TIME) -> AlarmPolicy:
    """Return the policy that is built at `now` from the text of a policy file."""
    return parse_policy(text.encode(), "policy.toml").build(now)
