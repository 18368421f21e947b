"""A worker shows the policy in force, and says when its calendar ends."""

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.runtime.metrics import PolicyMetrics
from sensorwatch.common.runtime.setting_keys import RegistrySettings, Settings
from sensorwatch.consumer.policy_adoption import follow_policy
from tests.policy.policy_builders import a_policy

WEEKLY = '[[window]]\nname = "w"\naction = "suppress"\nweekdays = ["mon"]\nzone = "UTC"\n'


@pytest.mark.parametrize(("days", "has_warning"), [(20, True), (60, False)])
def test_metrics_show_the_policy_and_a_warning_names_a_calendar_that_ends_soon(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, days: int, has_warning: bool
) -> None:
    now = datetime.now(UTC)
    last_day = now.date() + timedelta(days=days)
    policy = a_policy(f"[calendar]\nuntil = {last_day}\n" + WEEKLY, now=now)
    settings = Settings(registry=RegistrySettings(path=tmp_path))
    PolicyRegistry(tmp_path, settings.registry.model).apply(policy, who="w", why="w")
    registry = CollectorRegistry()

    with caplog.at_level(logging.INFO):
        follower = follow_policy(settings, PolicyMetrics(registry))

    current = follower.current()
    assert current is not None
    assert registry.get_sample_value("sensorwatch_policy_info", {"policy": current.id}) == 1
    assert registry.get_sample_value("sensorwatch_suppressed_total", {"rule": "w"}) == 0
    end = registry.get_sample_value("sensorwatch_policy_calendar_end_timestamp_seconds")
    next_day = last_day + timedelta(days=1)
    assert end == datetime(next_day.year, next_day.month, next_day.day, tzinfo=UTC).timestamp()
    assert ("end soon or have ended" in caplog.text) is has_warning
