"""The settings of `sensorwatch notify`."""

from typing import Annotated, Any, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from sensorwatch.common.rows.durations import parse_duration
from sensorwatch.common.runtime.setting_choices import SeverityChoice
from sensorwatch.common.runtime.settings_table import SettingsTable

MIN_MAX_AGE_SECONDS = 600
"""Smallest `max_age`. A closed incident is sent for some minutes, so it must be kept longer."""


def _check_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("not a URL such as http://localhost:9093")
    return url


def _check_duration(text: str) -> str:
    parse_duration(text)
    return text


def _split_list(value: Any) -> Any:
    # An environment variable contains the elements of a list with commas between them.
    if isinstance(value, str):
        return [element.strip() for element in value.split(",") if element.strip()]
    return value


Duration = Annotated[str, AfterValidator(_check_duration)]
Url = Annotated[str, AfterValidator(_check_url)]
OptionalUrl = Annotated[str, AfterValidator(lambda url: _check_url(url) if url else url)]
Urls = Annotated[list[Url], BeforeValidator(_split_list)]
Pattern = Annotated[str, Field(min_length=1)]


class RouteSettings(SettingsTable):
    """Which incidents are sent to which targets."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,63}$")]
    """Value of the label `route` of each alert that this route sends."""
    severity: Annotated[SeverityChoice, Field(strict=False)] = SeverityChoice.CRITICAL
    """Lowest severity of an incident."""
    group: Pattern = "*"
    """Shell pattern of the groups; an incident without a group has the group ``."""
    pattern: Pattern = "*"
    """Shell pattern of the pattern of the incident's worst episode."""
    target: str = ""
    """One of the URLs in `alertmanagers` and `webhooks`; if empty, all of them."""


class NotifySettings(SettingsTable):
    """Settings of the notifier."""

    alertmanagers: Urls = Field(default_factory=list)
    """Base URLs of the peers of an Alertmanager cluster; every peer gets every alert."""
    webhooks: Urls = Field(default_factory=list)
    """URLs that get a CloudEvent for each change of an incident."""
    severity: Annotated[SeverityChoice, Field(strict=False)] = SeverityChoice.CRITICAL
    """Lowest severity of an incident that is sent, if there are no routes."""
    routes: list[RouteSettings] = Field(default_factory=list)
    group: str = ""
    """The notifier's consumer group; if empty, `<[consumer] group>.notify`."""
    page_url: OptionalUrl = ""
    """Base URL of the page of `sensorwatch serve`, for links; if empty, alerts have no link."""
    runbooks_url: OptionalUrl = ""
    """URL of the folder docs/runbooks; if empty, alerts have no `runbook_url`."""
    max_age: Duration = "24h"
    """An incident whose newest event is older than this is not sent for the first time."""
    max_open: Duration = "7d"
    """An incident without an event for this time counts as closed."""
    idle_after: Duration = "1h"
    """An input partition without a new record for this time raises an alert."""
    interval_seconds: Annotated[float, Field(gt=0, le=3_600)] = 60
    """Seconds after which the state of each open incident is sent again to Alertmanager."""
    timeout_seconds: Annotated[float, Field(gt=0, le=300)] = 10
    """Longest wait for a target's answer."""
    http_host: Annotated[str, Field(min_length=1)] = "127.0.0.1"
    http_port: Annotated[int, Field(ge=0, le=65_535)] = 9201
    """Port of /metrics, /livez and /readyz; with 0, the system chooses a free port."""

    @model_validator(mode="after")
    def _check_targets_and_ages(self) -> Self:
        targets = {*self.alertmanagers, *self.webhooks}
        for route in self.routes:
            if route.target and route.target not in targets:
                raise ValueError(
                    f'the target {route.target} of the route "{route.name}" is in neither '
                    "alertmanagers nor webhooks: add it to one of them"
                )
        names = [route.name for route in self.routes]
        if len(set(names)) < len(names):
            raise ValueError(f"the names of the routes must differ, found {', '.join(names)}")
        if parse_duration(self.max_age) < MIN_MAX_AGE_SECONDS:
            raise ValueError(f"max_age {self.max_age} is below {MIN_MAX_AGE_SECONDS // 60}m")
        if parse_duration(self.max_open) < parse_duration(self.max_age):
            raise ValueError(f"max_open {self.max_open} is below max_age {self.max_age}")
        return self
