"""The settings that the planning of messages depends on."""

from dataclasses import dataclass

from sensorwatch.common.rows.durations import parse_duration
from sensorwatch.common.runtime.notify_settings import NotifySettings

MIN_OPEN_SECONDS = 180


@dataclass(frozen=True, slots=True)
class NotifyPolicy:
    """When messages are sent, and what they contain besides the incident."""

    interval_seconds: float
    max_age_seconds: float
    max_open_seconds: float
    idle_seconds: float
    source: str
    """The notifier's consumer group."""
    page_url: str = ""
    runbooks_url: str = ""

    @property
    def open_seconds(self) -> float:
        """Seconds after a message at which the alert of an open incident ends.

        The alert still fires if two messages are lost.
        """
        return max(MIN_OPEN_SECONDS, 3 * self.interval_seconds)

    @property
    def drop_seconds(self) -> float:
        """Age at which a closed incident is dropped, even if a target has not received it."""
        return self.max_age_seconds + self.max_open_seconds


def policy_of(settings: NotifySettings, group: str) -> NotifyPolicy:
    """Return the policy; `group` is the notifier's consumer group."""
    return NotifyPolicy(
        interval_seconds=settings.interval_seconds,
        max_age_seconds=parse_duration(settings.max_age),
        max_open_seconds=parse_duration(settings.max_open),
        idle_seconds=parse_duration(settings.idle_after),
        source=group,
        page_url=settings.page_url,
        runbooks_url=settings.runbooks_url,
    )
