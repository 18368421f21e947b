"""A consumer and an API for tests; a Prometheus can scrape their metrics."""

import json
import os
import sys
import uuid
from pathlib import Path
from urllib.request import Request, urlopen

from confluent_kafka import Producer

from sensorwatch.common.registry.store import Registry
from tests.brokers.child_processes import ChildProcess, last_lines, wait_until
from tests.brokers.kafka import Kafka
from tests.brokers.ports import free_ports
from tests.reading_builders import ANOMALOUS_VALUES, DEFAULT_SCHEMA, NORMAL_VALUES, a_candidate

TIME = "2025-01-01T00:00:00Z"


def a_row(values: tuple[float, float, float]) -> dict[str, object]:
    """Return a row of the default schema; `values`: the values of x1, x2 and x3."""
    return {
        "timestamp": TIME,
        "sensor_id": "s0",
        **dict(zip(("x1", "x2", "x3"), values, strict=True)),
    }


class MonitoredServices:
    """A consumer and an API that use the same registry, with methods that send data to both."""

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        self.kafka = kafka
        self.topic = kafka.create_topic(f"monitored-{uuid.uuid4().hex[:8]}", 2)
        for topic_suffix in ("anomalies", "dlq", "ledger"):
            kafka.create_topic(f"{self.topic}.{topic_suffix}")
        kafka.create_topic(f"{self.topic}.state", 2)
        registry = Registry(folder / "registry")
        self.version = registry.register("default", a_candidate(), who="test", why="prometheus")
        consumer_port, api_port = free_ports(2)
        self.consumer, self.api = f"127.0.0.1:{consumer_port}", f"127.0.0.1:{api_port}"
        environment = {
            "PYTHONPATH": str(DEFAULT_SCHEMA.parents[1]),
            "SENSORWATCH__KAFKA__BOOTSTRAP_SERVERS": kafka.address,
            "SENSORWATCH__TOPICS__READINGS": self.topic,
            "SENSORWATCH__TOPICS__ANOMALIES": f"{self.topic}.anomalies",
            "SENSORWATCH__TOPICS__DEAD_LETTERS": f"{self.topic}.dlq",
            "SENSORWATCH__TOPICS__LEDGER": f"{self.topic}.ledger",
            "SENSORWATCH__CONSUMER__GROUP": self.topic,
            "SENSORWATCH__CONSUMER__HTTP_PORT": str(consumer_port),
            "SENSORWATCH__REGISTRY__PATH": str(folder / "registry"),
            "SENSORWATCH__API__PORT": str(api_port),
        }
        self._programs = [
            ChildProcess(
                [sys.executable, "-m", "sensorwatch", command],
                log=folder / f"{command}.log",
                environment={**os.environ, **environment},
                folder=folder,
            )
            for command in ("consume", "serve")
        ]

    def wait_ready(self) -> None:
        """Wait until both services are ready."""
        for program, address in zip(self._programs, (self.consumer, self.api), strict=True):
            wait_until(
                lambda address=address: self._is_ready(address),  # type: ignore[misc] # bound now
                deadline=60,
                what=f"{program.command} to be ready; its log ends {last_lines(program.log, 5)}",
                every=0.2,
            )

    def send(self, *, normal: int, anomalous: int, broken: int) -> None:
        """Send `normal` and `anomalous` rows and `broken` (invalid) records to the topic."""
        producer = Producer({"bootstrap.servers": self.kafka.address})
        for count, value in (
            (normal, json.dumps(a_row(NORMAL_VALUES))),
            (anomalous, json.dumps(a_row(ANOMALOUS_VALUES))),
            (broken, '{"timestamp": '),
        ):
            for number in range(count):
                producer.produce(self.topic, value, f"s{number}")
        assert producer.flush(30) == 0

    def predict(self, *, normal: int, anomalous: int) -> None:
        """Send `normal` and then `anomalous` rows to the API in one request."""
        rows = [a_row(NORMAL_VALUES)] * normal + [a_row(ANOMALOUS_VALUES)] * anomalous
        self.get(self.api, "/predict", json.dumps({"rows": rows}).encode())

    def get(
        self, address: str, path: str, body: bytes | None = None, *, accept: str = "*/*"
    ) -> tuple[str, str]:
        """Fetch a page of a service; return its content type and text."""
        headers = {"Content-Type": "application/json", "Accept": accept}
        request = Request(f"http://{address}{path}", body, headers)
        with urlopen(request, timeout=10) as answer:
            return answer.headers["Content-Type"], answer.read().decode()

    def close(self) -> None:
        """Stop both services."""
        for program in self._programs:
            program.close()

    def _is_ready(self, address: str) -> bool:
        try:
            return bool(self.get(address, "/readyz"))
        except OSError:
            return False
