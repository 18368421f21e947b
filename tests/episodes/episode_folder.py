"""A folder with a registry, and a broker with input rows and the events of an episode."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from confluent_kafka import Producer

from sensorwatch.common.kafka.silent_logger import silent_logger
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.processing import Outcome, process
from sensorwatch.consumer.publishing.events import anomaly_events
from sensorwatch.demo.embedded_broker import EmbeddedBroker
from tests.kafka.record_builders import StoredRecord
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, a_candidate

ROWS, FIRST_ANOMALY, LAST_ANOMALY = 80, 40, 44
EPISODE_ID = f"sensors-0-{FIRST_ANOMALY}"


@contextmanager
def episode_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a folder with a registry; the broker has the input rows and the events of a model."""
    registry = Registry(tmp_path / "registry")
    registry.register("default", a_candidate(), who="test", why="test")
    detector = registry.load("default").detector
    with EmbeddedBroker() as broker:
        broker.create_topic("sensors")
        broker.create_topic("anomalies")
        monkeypatch.setenv("SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS", broker.address)
        monkeypatch.setenv("SENSORWATCH__REGISTRY__PATH", str(tmp_path / "registry"))
        producer = Producer({"bootstrap.servers": broker.address}, logger=silent_logger())
        records = the_records()
        for record in records:
            producer.produce("sensors", record.value(), b"pump-7", 0)
        for message in anomaly_events(
            score(detector),
            detector,
            records,
            topic="anomalies",
            detected_at="2025-01-01T03:00:00Z",
        ):
            headers: list[tuple[str, str | bytes | None]] = [*message.headers]
            producer.produce("anomalies", message.value, message.key, 0, headers=headers)
        assert producer.flush(10) == 0
        yield tmp_path


def the_records() -> list[StoredRecord]:
    """Return the input records."""
    return [StoredRecord(a_row(row), row) for row in range(ROWS)]


def score(detector: Detector) -> Outcome:
    """Return the result of scoring the input records."""
    return process(
        [record.value() for record in the_records()],
        detector,
        detector.empty_memory(),
        positions=np.arange(ROWS, dtype=np.int64),
    )


def a_row(row: int) -> bytes:
    """Return the value of an input record."""
    is_anomalous = FIRST_ANOMALY <= row <= LAST_ANOMALY
    values = ANOMALOUS_VALUES if is_anomalous else NORMAL_VALUES
    fields = {
        "timestamp": f"2025-01-01T{row // 60:02}:{row % 60:02}:00Z",
        "sensor_id": "pump-7",
        **dict(zip(("x1", "x2", "x3"), values, strict=True)),
    }
    return json.dumps(fields).encode()
