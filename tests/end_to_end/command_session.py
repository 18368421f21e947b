"""A session of commands and services in one working folder."""

import json
import os
import re
import sys
import uuid
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from confluent_kafka import Message

from sensorwatch.common.kafka.event_types import EventType
from tests.brokers.child_processes import ChildProcess, last_lines, wait_until
from tests.brokers.kafka import Kafka
from tests.checker.topic_reader import read_committed
from tests.commands.command_runner import ROOT, CommandResult, sensorwatch

SERVICE_SECONDS = 45


class CommandSession:
    """Runs commands and services with one configuration file, new topics and a new group."""

    def __init__(self, kafka: Kafka, folder: Path, *, schema: Path) -> None:
        self.kafka = kafka
        self.folder = folder
        name = f"e2e-{uuid.uuid4().hex[:8]}"
        self.readings, self.anomalies, self.dead_letters = name, f"{name}.events", f"{name}.dlq"
        self._services: dict[str, ChildProcess] = {}
        (folder / "sensorwatch.toml").write_text(
            f"""\
[kafka]
"bootstrap.servers" = "{kafka.address}"
[topics]
readings = "{self.readings}"
anomalies = "{self.anomalies}"
dead_letters = "{self.dead_letters}"
[schema]
path = "{schema}"
[consumer]
group = "{name}"
http_port = 0
[api]
port = 0
[log]
format = "json"
"""
        )

    def run_command(self, command: str, *, code: int = 0) -> CommandResult:
        """Run `sensorwatch COMMAND` in the folder and check that the exit code is `code`."""
        result = sensorwatch(*command.split(), folder=self.folder)
        assert result.code == code, f"{command} ended with {result.code}\n{result.out}{result.err}"
        return result

    def run_json_command(self, command: str) -> list[Any]:
        """Run a command that prints JSON lines and return their values."""
        return [json.loads(line) for line in self.run_command(command).out.splitlines()]

    def start_service(self, command: str) -> ChildProcess:
        """Start a service and wait until it logs its address."""
        environment = {
            name: text for name, text in os.environ.items() if name.startswith("SENSORWATCH__")
        }
        assert not environment, f"these settings would change the test: {environment}"
        process = ChildProcess(
            [sys.executable, "-m", "sensorwatch", *command.split()],
            log=self.folder / f"{command}.log",
            environment={"PYTHONPATH": str(ROOT)},
            folder=self.folder,
        )
        self._services[command] = process
        wait_until(
            lambda: self.address(command),
            deadline=SERVICE_SECONDS,
            what=f"{command} to log its address: {last_lines(process.log, 5)}",
        )
        return process

    def address(self, command: str) -> str | None:
        """Return the address that a service has logged; None if it has logged none yet."""
        match = re.search(r"http://[0-9.]+:\d+", self._services[command].log.read_text())
        return match[0] if match else None

    def fetch(self, command: str, path: str, body: object = None) -> str:
        """Fetch a page from a service; a status above 399 raises HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.address(command)}{path}"
        with urlopen(
            Request(url, data, {"Content-Type": "application/json"}), timeout=20
        ) as response:
            text: str = response.read().decode()
        return text

    def wait_until_consumed(self, records: int) -> None:
        """Wait until the consumer's metrics count `records` records."""
        metric_line = f'sensorwatch_records_consumed_total{{topic="{self.readings}"}} {records:.1f}'
        wait_until(
            lambda: metric_line in self.fetch("consume", "/metrics"),
            deadline=SERVICE_SECONDS,
            what=f"{metric_line}; the log ends {last_lines(self._services['consume'].log, 5)}",
            every=0.1,
        )

    def stop_service(self, command: str) -> int:
        """Stop a service with SIGTERM and return its exit code."""
        return self._services[command].terminate(deadline=10)

    def committed_records(self, topic: str) -> list[Message]:
        """Return all committed records of a topic."""
        return read_committed(self.kafka.address, topic)

    def events(self) -> list[dict[str, Any]]:
        """Return all committed events of anomalous rows."""
        return self._events(EventType.DETECTED)

    def episode_end_events(self) -> list[dict[str, Any]]:
        """Return all committed events that close an episode."""
        return self._events(EventType.CLOSED)

    def episode_notices(self) -> list[dict[str, Any]]:
        """Return the committed events that report neither an anomalous row nor a closed episode."""
        types = [
            event_type
            for event_type in EventType
            if event_type not in (EventType.DETECTED, EventType.CLOSED)
        ]
        return [event for event_type in types for event in self._events(event_type)]

    def _events(self, event_type: EventType) -> list[dict[str, Any]]:
        return [
            json.loads(message.value() or b"")
            for message in self.committed_records(self.anomalies)
            if dict(message.headers() or [])["ce_type"] == event_type.encode()
        ]

    def close(self) -> None:
        """Stop all running services."""
        for process in self._services.values():
            process.close()
