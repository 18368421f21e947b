"""The notifier as a process, from the anomaly topic of the embedded broker to Alertmanager."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from sensorwatch.common.alarms.events import ClosingEvent, Episode, Event
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests.brokers.child_processes import ChildProcess, last_lines, wait_until
from tests.brokers.real_kafka import kafka_required
from tests.notify.alertmanager import Alertmanager, reason_alertmanager_is_missing
from tests.notify.http_target import HttpTarget
from tests.notify.rig import publish


@pytest.fixture(autouse=True)
def _require_alertmanager() -> None:
    missing = reason_alertmanager_is_missing()
    if missing is None:
        return
    if kafka_required():
        pytest.fail(f"{missing}, and CI needs it", pytrace=False)
    pytest.skip(missing)


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as embedded_broker:
        embedded_broker.create_topic("anomalies")
        yield embedded_broker


def now_text() -> str:
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def an_opening(start: str) -> Event:
    return Event(
        event_id="sensors-0-1",
        sensor_id="pump-1",
        event_time=start,
        model_version="default-0001-aaaaaaaa",
        anomaly_score=3.0,
        severity="critical",
        signals=[],
        episode=Episode(1, "sensors-0-1", start),
        message="x1 is high",
        pattern="spike",
    )


def an_end(start: str) -> ClosingEvent:
    time = now_text()
    return ClosingEvent(
        event_id="sensors-0-9",
        sensor_id="pump-1",
        event_time=time,
        duration_seconds=5,
        rows=3,
        peak=3.0,
        severity="critical",
        episode_id="sensors-0-1",
        start=start,
        last=time,
        model_version="default-0001-aaaaaaaa",
    )


def notifier(folder: Path, broker: EmbeddedBroker, *urls: str) -> ChildProcess:
    environment = {
        "SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": broker.address,
        "SENSORWATCH__NOTIFY__ALERTMANAGERS": urls[0],
        "SENSORWATCH__NOTIFY__WEBHOOKS": ",".join(urls[1:]),
        "SENSORWATCH__NOTIFY__INTERVAL_SECONDS": "1",
        "SENSORWATCH__NOTIFY__HTTP_PORT": "0",
    }
    return ChildProcess(
        [sys.executable, "-m", "sensorwatch", "notify"],
        log=folder / "notifier.log",
        environment=environment,
        folder=folder,
    )


def pages(target: HttpTarget) -> list[tuple[str, Any]]:
    """Return status and labels of the alerts of incidents that Alertmanager reported."""
    return [
        (alert["status"], alert["labels"])
        for message in target.values
        for alert in message["alerts"]
        if alert["labels"]["alertname"] == "SensorwatchIncident"
    ]


@pytest.mark.slow
def test_an_incident_is_sent_once_and_ends_although_the_notifier_is_killed(
    tmp_path: Path, broker: EmbeddedBroker
) -> None:
    start = now_text()
    with HttpTarget() as receiver, HttpTarget() as webhook:
        alertmanager = Alertmanager(tmp_path, webhook=receiver.url)
        program = notifier(tmp_path, broker, alertmanager.address, webhook.url)
        try:
            alertmanager.wait_ready()
            publish(broker, an_opening(start))
            labels = {"alertname": "SensorwatchIncident", "model": "default", "sensor": "pump-1"}
            wait_until(
                lambda: pages(receiver) == [("firing", labels)],
                deadline=30,
                what=f"a page; the log: {last_lines(program.log)}",
            )
            wait_until(lambda: webhook.values, deadline=10, what="the webhook")
            program.kill()
            publish(broker, an_end(start))
            program = notifier(tmp_path, broker, alertmanager.address, webhook.url)
            wait_until(
                lambda: pages(receiver) == [("firing", labels), ("resolved", labels)],
                deadline=30,
                what="the end",
            )
            # A change can arrive twice, because the notifier was killed. Its id is the same.
            changes = ["sensors-0-1-opened", "sensors-0-1-closed"]
            wait_until(
                lambda: list(dict.fromkeys(event["id"] for event in webhook.values)) == changes,
                deadline=10,
                what="both changes at the webhook",
            )
            assert program.terminate() == 0
        finally:
            program.close()
            alertmanager.close()
