"""Decides which targets get an incident."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from sensorwatch.common.alarms.incidents import Incident
from sensorwatch.common.alarms.severity import severity_rank
from sensorwatch.common.runtime.notify_settings import NotifySettings, RouteSettings

DEFAULT_ROUTE = ""
"""Name of the route that is used if the settings have no routes."""


class TargetKind(StrEnum):
    """What a target is."""

    ALERTMANAGER = "alertmanager"
    WEBHOOK = "webhook"


@dataclass(frozen=True, slots=True)
class Target:
    """A URL to which the incidents of a route are sent."""

    kind: TargetKind
    url: str
    route: str = DEFAULT_ROUTE
    severity: str = "critical"
    """Lowest severity of an incident."""
    group: str = "*"
    """Shell pattern of the group."""
    pattern: str = "*"
    """Shell pattern that the `pattern` of the worst episode must match."""

    @property
    def key(self) -> str:
        """Return the text that identifies the target in stored notices."""
        return f"{self.route} {self.url}"

    @property
    def name(self) -> str:
        """Return route and address for logs and metrics, without path, user and password."""
        address = address_of(self.url)
        return f"{self.route} {address}" if self.route else address

    def wants(self, incident: Incident) -> bool:
        """Return whether an incident matches the route."""
        return (
            severity_rank(incident.severity) >= severity_rank(self.severity)
            and fnmatchcase(incident.group, self.group)
            and fnmatchcase(incident.worst_episode.pattern, self.pattern)
        )


def address_of(url: str) -> str:
    """Return scheme, host and port of a URL. The other parts may contain secrets."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def targets_of(settings: NotifySettings) -> tuple[Target, ...]:
    """Return one target for each route and URL.

    Without routes, every URL gets all incidents with at least the severity of the settings.
    """
    urls = [
        *((TargetKind.ALERTMANAGER, url) for url in dict.fromkeys(settings.alertmanagers)),
        *((TargetKind.WEBHOOK, url) for url in dict.fromkeys(settings.webhooks)),
    ]
    if not settings.routes:
        return tuple(Target(kind, url, severity=settings.severity.value) for kind, url in urls)
    return tuple(
        route_target(route, kind, url)
        for route in settings.routes
        for kind, url in urls
        if route.target in ("", url)
    )


def route_target(route: RouteSettings, kind: TargetKind, url: str) -> Target:
    """Return the target of a route and a URL."""
    return Target(kind, url, route.name, route.severity.value, route.group, route.pattern)


def lowest_severity(targets: Iterable[Target]) -> str:
    """Return the lowest severity that any target wants."""
    return min((target.severity for target in targets), key=severity_rank)
