"""A running consumer, API and notifier, whose metrics a Prometheus can scrape."""

import json
import os
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from urllib.request import Request, urlopen

from confluent_kafka import Producer

from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from tests.brokers.child_processes import ChildProcess, last_lines, wait_until
from tests.brokers.kafka import Kafka
from tests.brokers.ports import free_ports
from tests.notify.http_target import HttpTarget
from tests.policy.policy_builders import a_policy
from tests.reading_builders import ANOMALOUS_VALUES, DEFAULT_SCHEMA, NORMAL_VALUES, a_candidate

ROW_TIME = "2025-01-01T00:00:00Z"
POLICY = """
[[rule]]
name = "limits"
signal = "x1"
low_limit = -1e6

[[window]]
name = "cleaning"
action = "annotate"
weekdays = ["sat"]
zone = "Europe/Oslo"
"""
"""A policy that changes no alarm of this stream, and has a calendar that recurs."""


def a_row(values: tuple[float, float, float]) -> dict[str, object]:
    """Return a row of the default schema with these values of its three signals."""
    return {
        "timestamp": ROW_TIME,
        "sensor_id": "s0",
        **dict(zip(("x1", "x2", "x3"), values, strict=True)),
    }


class MonitoredServices:
    """A consumer, an API and a notifier, with methods that send rows to consumer and API.

    The consumer and the API use the same registry. The notifier sends to a target that accepts all.
    """

    def __init__(self, kafka: Kafka, folder: Path) -> None:
        self.kafka = kafka
        self.topic = kafka.create_topic(f"monitored-{uuid.uuid4().hex[:8]}", 2)
        for suffix in ("anomalies", "dlq", "ledger"):
            kafka.create_topic(f"{self.topic}.{suffix}")
        kafka.create_topic(f"{self.topic}.state", 2)
        registry = Registry(folder / "registry")
        self.version = registry.register("default", a_candidate(), who="test", why="prometheus")
        policy = a_policy(POLICY, now=datetime.now(UTC))
        PolicyRegistry(folder / "registry", "default").apply(policy, who="test", why="prometheus")
        consumer_port, api_port, notify_port = free_ports(3)
        self.consumer, self.api, self.notifier = (
            f"127.0.0.1:{port}" for port in (consumer_port, api_port, notify_port)
        )
        self._target = HttpTarget()
        self._target.__enter__()
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
            "SENSORWATCH__NOTIFY__HTTP_PORT": str(notify_port),
            "SENSORWATCH__NOTIFY__ALERTMANAGERS": self._target.url,
            "SENSORWATCH__NOTIFY__INTERVAL_SECONDS": "1",
        }
        self._programs = [
            ChildProcess(
                [sys.executable, "-m", "sensorwatch", command],
                log=folder / f"{command}.log",
                environment={**os.environ, **environment},
                folder=folder,
            )
            for command in ("consume", "serve", "notify")
        ]

    @property
    def addresses(self) -> tuple[str, str, str]:
        """Host and port of consumer, API and notifier."""
        return self.consumer, self.api, self.notifier

    def wait_ready(self) -> None:
        """Wait until all services are ready."""
        for program, address in zip(self._programs, self.addresses, strict=True):
            wait_until(
                lambda address=address: self._is_ready(address),  # type: ignore[misc] # bound now
                deadline=60,
                what=f"{program.command} to be ready; its log ends {last_lines(program.log, 5)}",
                every=0.2,
            )

    def send(self, *, normal: int, anomalous: int, broken: int) -> None:
        """Send these numbers of normal, anomalous and unreadable records to the topic."""
        producer = Producer({"bootstrap.servers": self.kafka.address})
        for count, payload in (
            (normal, json.dumps(a_row(NORMAL_VALUES))),
            (anomalous, json.dumps(a_row(ANOMALOUS_VALUES))),
            (broken, '{"timestamp": '),
        ):
            for record_number in range(count):
                producer.produce(self.topic, payload, f"s{record_number}")
        assert producer.flush(30) == 0

    def predict(self, *, normal: int, anomalous: int) -> None:
        """Send these numbers of normal and anomalous rows to the API in one request."""
        rows = [a_row(NORMAL_VALUES)] * normal + [a_row(ANOMALOUS_VALUES)] * anomalous
        self.get(self.api, "/predict", json.dumps({"rows": rows}).encode())

    def get(
        self, address: str, path: str, body: bytes | None = None, *, accept: str = "*/*"
    ) -> tuple[str, str]:
        """Return the content type and the text of an HTTP response."""
        headers = {"Content-Type": "application/json", "Accept": accept}
        request = Request(f"http://{address}{path}", body, headers)
        with urlopen(request, timeout=10) as response:
            return response.headers["Content-Type"], response.read().decode()

    def close(self) -> None:
        """Stop all services."""
        for program in self._programs:
            program.close()
        self._target.__exit__()

    def _is_ready(self, address: str) -> bool:
        try:
            return bool(self.get(address, "/readyz"))
        except OSError:
            return False
