"""The consumer continues after an outage of the broker longer than the session timeout."""

from pathlib import Path

import pytest

from tests.brokers.child_processes import wait_until
from tests.brokers.kafka import Kafka
from tests.deploy.monitored_worker import MonitoredServices


@pytest.mark.broker
@pytest.mark.slow
def test_the_consumer_continues_after_an_outage_longer_than_its_session(
    own_kafka: Kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A former defect: the next transaction never ended, and every failed connection was logged."""
    monkeypatch.setenv("SENSORWATCH__KAFKA__SESSION_TIMEOUT_MS", "6000")
    services = MonitoredServices(own_kafka, tmp_path)
    log = tmp_path / "consume.log"

    def has_consumed(records: int) -> bool:
        _, text = services.get(services.consumer, "/metrics")
        return f'_consumed_total{{topic="{services.topic}"}} {records}.0\n' in text

    try:
        services.wait_ready()
        services.send(normal=100, anomalous=2, broken=2)
        wait_until(lambda: has_consumed(104), deadline=30, what="104 records", every=0.1)
        own_kafka.kill()
        wait_until(lambda: "partitions lost" in log.read_text(), deadline=60, what="the loss")
        own_kafka.restart()
        services.send(normal=100, anomalous=2, broken=2)
        wait_until(lambda: has_consumed(208), deadline=60, what="208 records", every=0.1)
    finally:
        services.close()
    assert len(log.read_text().splitlines()) < 60, "an outage must be logged in a few lines"
