"""The settings `[notify]`: lists in variables, routes, and the messages about wrong values."""

from pathlib import Path
from typing import Any

import pytest

from sensorwatch.common.errors import SettingsError
from sensorwatch.common.rows.durations import parse_duration
from sensorwatch.common.runtime.notify_settings import NotifySettings
from sensorwatch.common.runtime.setting_choices import SeverityChoice
from sensorwatch.common.runtime.settings import Settings, load_settings, redacted_values
from sensorwatch.notify.routing import address_of, targets_of
from sensorwatch.notify.run import required_targets

ROUTE = '[[notify.routes]]\nname = "{name}"\n{more}\n'


def test_a_variable_contains_urls_with_commas(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").touch()
    environ = {"SENSORWATCH__NOTIFY__ALERTMANAGERS": "http://a:9093, http://b:9093"}

    settings = load_settings(tmp_path / "empty.toml", environ=environ).settings.notify

    assert settings.alertmanagers == ["http://a:9093", "http://b:9093"]
    assert settings.severity is SeverityChoice.CRITICAL
    assert len(targets_of(settings)) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[notify]\nalertmanagers = ["localhost:9093"]', "not a URL such as http://localhost:9093"),
        ('[notify]\nwebhooks = ["file:///etc/passwd"]', "not a URL"),
        ('[notify]\nmax_age = "a day"', "not a duration such as 90s, 30m, 24h or 7d"),
        ('[notify]\nmax_age = "1m"', "max_age 1m is below 10m"),
        ('[notify]\nmax_open = "1h"', "max_open 1h is below max_age 24h"),
        ('[notify]\nseverity = "none"', "notify.severity"),
        (ROUTE.format(name="a", more='target = "http://x"'), "in neither alertmanagers nor"),
        (ROUTE.format(name="a", more='severty = "major"'), "severty"),
        (ROUTE.format(name="A B", more=""), "notify.routes.0.name"),
        (2 * ROUTE.format(name="a", more=""), "must differ, found a, a"),
    ],
)
def test_a_wrong_value_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)

    with pytest.raises(SettingsError) as error:
        load_settings(path, environ={})

    assert message in str(error.value)


@pytest.mark.parametrize(
    ("text", "seconds"), [("90s", 90), ("30m", 1_800), ("24h", 86_400), ("7d", 604_800)]
)
def test_a_duration_has_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "7", "d", "0d", "-1d", "1.5h", "7 d", "7D", "٣d"])
def test_a_text_without_number_or_unit_is_not_a_duration(text: str) -> None:
    with pytest.raises(ValueError, match="such as"):
        parse_duration(text)


def test_the_shown_settings_hide_the_passwords_of_urls(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('[notify]\nwebhooks = ["https://me:secret@host/a@b"]')

    shown_values = redacted_values(load_settings(path, environ={}))

    assert shown_values["notify.webhooks"] == ["https://(hidden)@host/a@b"]


def test_logs_and_metrics_show_no_secret_of_a_url() -> None:
    assert address_of("https://user:secret@host:1234/services/token") == "https://host:1234"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({}, "has no targets"),
        ({"webhooks": ["http://x"], "group": "a b"}, "is not a valid topic name"),
    ],
)
def test_a_notifier_that_cannot_work_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        required_targets(Settings(notify=NotifySettings(**settings)))
