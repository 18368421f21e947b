"""A test of an outage of the broker that is longer than the session timeout."""

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
    """A fixed bug: the next transaction never ended, and every failed connection was logged."""
    monkeypatch.setenv("SENSORWATCH__KAFKA__SESSION_TIMEOUT_MS", "6000")
    monitored = MonitoredServices(own_kafka, tmp_path)
    log = tmp_path / "consume.log"

    def consumed(records: int) -> bool:
        _, text = monitored.get(monitored.consumer, "/metrics")
        return f'_consumed_total{{topic="{monitored.topic}"}} {records}.0\n' in text

    try:
        monitored.wait_ready()
        monitored.send(normal=100, anomalous=2, broken=2)
        wait_until(lambda: consumed(104), deadline=30, what="104 records", every=0.1)
        own_kafka.stop_hard()
        wait_until(lambda: "partitions lost" in log.read_text(), deadline=60, what="the loss")
        own_kafka.start_again()
        monitored.send(normal=100, anomalous=2, broken=2)
        wait_until(lambda: consumed(208), deadline=60, what="208 records", every=0.1)
    finally:
        monitored.close()
    assert len(log.read_text().splitlines()) < 60, "an outage must be logged in a few lines"
