"""The Alertmanager of the demo, and the notifier that sends alerts to it."""

import json
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

from sensorwatch.demo.consumer_metrics import http_get
from sensorwatch.demo.scenario import FIRST_EVENT_TIME
from sensorwatch.demo.service_process import ServiceProcess
from sensorwatch.notify.alerts import INCIDENT_ALERT

PROGRAMS = ("prometheus-alertmanager", "alertmanager")
"""The names of the program: in Debian's package, and in the archive of the Prometheus project."""
PACKAGE = "prometheus-alertmanager"
FIRST_ALERT_SECONDS = 5.0
"""Longest wait for the first alert after the end of the rows."""
_POLL_SECONDS = 0.1
# This Alertmanager shows its alerts on its page, and sends no message to anyone.
_CONFIGURATION = """\
route:
  receiver: page
receivers:
  - name: page
"""


@dataclass(frozen=True, slots=True)
class SentAlert:
    """An alert that the Alertmanager has received."""

    severity: str
    summary: str


@dataclass(frozen=True, slots=True)
class Alerting:
    """The running Alertmanager and the notifier."""

    alertmanager: ServiceProcess
    address: str
    """Base URL of the Alertmanager."""
    notifier: ServiceProcess

    def alerts(self) -> list[SentAlert]:
        """Return the alerts about incidents, the newest last; [] without an answer."""
        query = urlencode({"filter": f'alertname="{INCIDENT_ALERT}"'})
        answer = http_get(f"{self.address}/api/v2/alerts?{query}")
        if answer is None:
            return []
        alerts = sorted(json.loads(answer), key=lambda alert: str(alert["startsAt"]))
        return [
            SentAlert(
                alert["annotations"].get("severity", ""),
                alert["annotations"].get("summary", ""),
            )
            for alert in alerts
        ]

    def wait_for_alerts(self) -> list[SentAlert]:
        """Return the alerts; if there are none yet, wait for the first one for some seconds."""
        deadline = time.monotonic() + FIRST_ALERT_SECONDS
        while not (alerts := self.alerts()):
            if time.monotonic() > deadline:
                return []
            time.sleep(_POLL_SECONDS)
        return alerts


def installed_program() -> str | None:
    """Return the path of the installed Alertmanager, or None."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


def alertmanager_process(program: str, folder: Path) -> ServiceProcess:
    """Start an Alertmanager on a free port of this machine. It keeps its files in `folder`."""
    configuration = folder / "alertmanager.yml"
    configuration.write_text(_CONFIGURATION, encoding="utf-8")
    options = (
        f"--config.file={configuration}",
        f"--storage.path={folder / 'alertmanager'}",
        "--web.listen-address=127.0.0.1:0",
        "--cluster.listen-address=",
        "--log.format=json",
    )
    return ServiceProcess("Alertmanager", [program, *options], log=folder / "alertmanager.log")


def notify_settings(alertmanager_address: str, now: datetime) -> str:
    """Return the table `[notify]` of the configuration file.

    The simulated rows are of January 2024. The notifier does not send incidents that are older than
    `max_age`, so `max_age` reaches back to the first row.
    """
    first_event = datetime.fromtimestamp(FIRST_EVENT_TIME / 1e6, UTC)
    days = (now - first_event) // timedelta(days=1) + 1
    return f"""\
[notify]
alertmanagers = ["{alertmanager_address}"]
max_age = "{days}d"              # the simulated rows begin on {first_event:%Y-%m-%d}
max_open = "{days}d"
http_port = 0
"""
