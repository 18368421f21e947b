"""The services in docker-compose.yml that use the sensorwatch image, run outside containers."""

import json
import subprocess
import uuid
from dataclasses import dataclass, field
from urllib.request import Request, urlopen

from tests.brokers.child_processes import ChildProcess, last_lines
from tests.brokers.kafka import Kafka
from tests.brokers.ports import free_ports
from tests.deploy.compose import Service, is_one_shot, our_services
from tests.deploy.image import Image


@dataclass
class Stack:
    """The sensorwatch services, with paths, hosts and ports replaced to run outside containers."""

    kafka: Kafka
    image: Image
    services: dict[str, Service] = field(default_factory=our_services)
    programs: dict[str, ChildProcess] = field(default_factory=dict)
    exit_codes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.consumer_port, self.api_port = free_ports(2)
        self.topics = f"compose-{uuid.uuid4().hex[:8]}"

    def start_services(self) -> None:
        """Start every service after its dependencies, and wait until one-shot services end."""
        for name, service in self.services.items():
            program = self.programs[name] = ChildProcess(
                [self.outside_container(word) for word in service.command],
                log=self.image.app.parent / f"{name}.log",
                environment=self.environment(service),
                folder=self.image.app,
            )
            if is_one_shot(name):
                self.exit_codes[name] = program.wait(deadline=90)
                assert self.exit_codes[name] == 0, f"{name}: {last_lines(program.log)}"

    def outside_container(self, text: str) -> str:
        """Return `text` with the container's volume, host names and ports replaced by real ones."""
        replacements = {
            "/data": str(self.image.data),
            "kafka:9092": self.kafka.address,
            "0.0.0.0": "127.0.0.1",
            "127.0.0.1:9101": f"127.0.0.1:{self.consumer_port}",
            "127.0.0.1:8000": f"127.0.0.1:{self.api_port}",
        }
        for inside_text, outside_text in replacements.items():
            text = text.replace(inside_text, outside_text)
        return text

    def environment(self, service: Service) -> dict[str, str]:
        """Return the environment of a service, with topics and ports that only this stack uses."""
        return {
            **self.image.environment,
            **{name: self.outside_container(value) for name, value in service.environment.items()},
            "SENSORWATCH__TOPICS__READINGS": self.topics,
            "SENSORWATCH__TOPICS__ANOMALIES": f"{self.topics}.anomalies",
            "SENSORWATCH__TOPICS__DEAD_LETTERS": f"{self.topics}.dlq",
            "SENSORWATCH__CONSUMER__GROUP": self.topics,
            "SENSORWATCH__CONSUMER__HTTP_PORT": str(self.consumer_port),
            "SENSORWATCH__API__PORT": str(self.api_port),
        }

    def is_healthy(self, name: str) -> bool:
        """Run the service's health check once; return True if it succeeds."""
        service = self.services[name]
        command = [self.outside_container(word) for word in service.healthcheck]
        completed = subprocess.run(
            command,
            env=self.environment(service),
            cwd=self.image.app,
            capture_output=True,
            check=False,
        )
        return completed.returncode == 0

    def get(self, port: int, path: str, body: object = None) -> bytes:
        """Fetch a page of the consumer or the API; a status above 399 raises HTTPError."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(
            f"http://127.0.0.1:{port}{path}", data, {"Content-Type": "application/json"}
        )
        with urlopen(request, timeout=10) as answer:
            content: bytes = answer.read()
        return content

    def value(self, port: int, series: str) -> float:
        """Return the value of a series of /metrics, or 0; `series`: metric name and labels."""
        lines = self.get(port, "/metrics").decode().splitlines()
        values = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{series} ")]
        return float(values[0]) if values else 0.0

    def logs(self) -> str:
        """Return the last lines of all logs, to be shown when a test fails."""
        programs = self.programs.items()
        return "\n".join(f"{name}: {last_lines(program.log, 5)}" for name, program in programs)

    def close(self) -> None:
        """Stop all running services."""
        for program in self.programs.values():
            program.close()
