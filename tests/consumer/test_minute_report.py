"""Once a minute, a worker logs what it did, or why it scores no records."""

import logging

import pytest
from prometheus_client import CollectorRegistry

from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.ledger.account import open_account
from sensorwatch.common.runtime.metrics import ConsumerMetrics
from sensorwatch.common.scoring.processing import process
from sensorwatch.consumer.observation import Observation
from tests.consumer.micro_batches import micro_batch_of
from tests.kafka.record_builders import StoredRecord, a_payload
from tests.reading_builders import ANOMALOUS_VALUES, a_detector

PARTITION = Partition("sensors", 0)


def test_the_report_has_rows_rate_anomalies_and_lag(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "sensorwatch.consumer")
    times = [0.0]
    observation = Observation(
        ConsumerMetrics(CollectorRegistry(), topic="sensors"),
        topic="sensors",
        stuck_after_seconds=60,
        clock=lambda: times[-1],
    )
    detector = a_detector()
    payloads = [a_payload(), a_payload(ANOMALOUS_VALUES), b"{"]
    batch = micro_batch_of([StoredRecord(p, n) for n, p in enumerate(payloads)], "sensors")
    outcome = process(payloads, detector, detector.empty_memory())
    account = open_account(3, model_version="m", fingerprint="f")

    def beat_at(seconds: float) -> list[tuple[str, object]]:
        """Return event and fields of each new report."""
        caplog.clear()
        times.append(seconds)
        observation.beat()
        return [(record.getMessage(), getattr(record, "fields", None)) for record in caplog.records]

    (waiting,) = beat_at(60)
    assert waiting[0] == "no records are scored"
    observation.show_rebalance("assigned", [PARTITION])
    observation.count_outcomes([(batch.partition_batches[0], outcome)], detector)
    statistics = '{"topics":{"sensors":{"partitions":{"0":{"app_offset":3,"ls_offset":10}}}}}'
    observation.show_lag(statistics, {PARTITION: account})

    assert beat_at(119) == []
    counts = {"rows": 2, "rows_per_second": 0.0, "anomalies": 1, "dead_letters": 1, "records": 3}
    assert beat_at(120) == [("all is well", {**counts, "lag": 7, "seconds": 60})]
    ((_, fields),) = beat_at(180)
    assert isinstance(fields, dict)
    assert (fields["rows"], fields["lag"]) == (0, 7), "each report has its own counts"
