"""The Alertmanager and the notifier of the demo."""

import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from sensorwatch.common.runtime.notify_settings import NotifySettings
from sensorwatch.demo.alerting import PROGRAMS, installed_program, notify_settings
from sensorwatch.demo.scenario import FIRST_EVENT_TIME
from sensorwatch.notify.policy import policy_of

FIRST_EVENT = datetime.fromtimestamp(FIRST_EVENT_TIME / 1e6, UTC)


@pytest.mark.parametrize("age", [timedelta(days=12), timedelta(days=1059, seconds=1)])
def test_the_notifier_of_the_demo_sends_incidents_of_the_first_simulated_row(
    age: timedelta,
) -> None:
    text = notify_settings("http://127.0.0.1:9093", FIRST_EVENT + age)

    settings = NotifySettings.model_validate(tomllib.loads(text)["notify"])
    policy = policy_of(settings, "demo")
    assert settings.alertmanagers == ["http://127.0.0.1:9093"]
    assert policy.max_age_seconds >= age.total_seconds()
    assert policy.max_open_seconds >= age.total_seconds()


@pytest.mark.parametrize("name", PROGRAMS)
def test_both_names_of_the_program_are_recognised(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert installed_program() is None

    (tmp_path / name).write_text("")
    (tmp_path / name).chmod(0o755)

    assert installed_program() == str(tmp_path / name)
