"""The messages and answers that the tests of the notifier expect."""

from datetime import datetime, timedelta
from typing import Any

from sensorwatch.common.alarms.events import AnyEvent
from sensorwatch.notify.http_client import Answer, Outcome
from tests.alarms.event_builders import an_alarm
from tests.notify.rig import BEGIN

FAILED = Answer(Outcome.FAILED, "503")
UNKNOWN = Answer(Outcome.UNKNOWN, "timeout")
OPENED, RAISED, CLOSED = (
    f"sensors-0-1-{change}" for change in ("opened", "raised-critical", "closed")
)
HOOK_NAME = "http://hook"


def critical(minute: int = 59, **fields: Any) -> AnyEvent:
    return an_alarm(minute=minute, severity="critical", **fields)


def ends_of(alerts: list[dict[str, Any]]) -> list[float]:
    """Return the minute at which each alert ends."""
    ends = (datetime.fromisoformat(alert["endsAt"]) for alert in alerts)
    return [(end - BEGIN) / timedelta(minutes=1) for end in ends]
