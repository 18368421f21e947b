"""The services of docker-compose.yml that run this project's image, started without containers."""

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

NO_ALERTMANAGER = "127.0.0.1:9"
"""An address at which no Alertmanager answers; the notifier must live without one."""


@dataclass
class ComposeStack:
    """Services of the compose file as local processes, with paths, hosts and ports rewritten."""

    kafka: Kafka
    image: Image
    services: dict[str, Service] = field(default_factory=our_services)
    programs: dict[str, ChildProcess] = field(default_factory=dict)
    exit_codes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.consumer_port, self.api_port, self.notify_port = free_ports(3)
        self.topic = f"compose-{uuid.uuid4().hex[:8]}"

    def start_services(self) -> None:
        """Start the services in the order of dependencies; wait until one-shot services end."""
        for name, service in self.services.items():
            program = self.programs[name] = ChildProcess(
                [self.without_container_names(argument) for argument in service.command],
                log=self.image.app_folder.parent / f"{name}.log",
                environment=self.environment(service),
                folder=self.image.app_folder,
            )
            if is_one_shot(name):
                self.exit_codes[name] = program.wait(deadline=240)
                assert self.exit_codes[name] == 0, f"{name}: {last_lines(program.log)}"

    def without_container_names(self, text: str) -> str:
        """Replace the volume, host names and ports of containers in a text by local ones."""
        replacements = {
            "/data": str(self.image.data_folder),
            "kafka:9092": self.kafka.address,
            "0.0.0.0": "127.0.0.1",
            "127.0.0.1:9101": f"127.0.0.1:{self.consumer_port}",
            "127.0.0.1:8000": f"127.0.0.1:{self.api_port}",
            "127.0.0.1:9201": f"127.0.0.1:{self.notify_port}",
            "alertmanager:9093": NO_ALERTMANAGER,
        }
        for container_text, local_text in replacements.items():
            text = text.replace(container_text, local_text)
        return text

    def environment(self, service: Service) -> dict[str, str]:
        """Return the environment of a service, with topics and ports that only this stack uses."""
        return {
            **self.image.environment,
            **{
                name: self.without_container_names(value)
                for name, value in service.environment.items()
            },
            "SENSORWATCH__TOPICS__READINGS": self.topic,
            "SENSORWATCH__TOPICS__ANOMALIES": f"{self.topic}.anomalies",
            "SENSORWATCH__TOPICS__DEAD_LETTERS": f"{self.topic}.dlq",
            "SENSORWATCH__CONSUMER__GROUP": self.topic,
            "SENSORWATCH__CONSUMER__HTTP_PORT": str(self.consumer_port),
            "SENSORWATCH__API__PORT": str(self.api_port),
            "SENSORWATCH__NOTIFY__HTTP_PORT": str(self.notify_port),
        }

    def is_healthy(self, name: str) -> bool:
        """Run the service's health check once; return whether it passes."""
        service = self.services[name]
        command = [self.without_container_names(argument) for argument in service.healthcheck]
        completed_process = subprocess.run(
            command,
            env=self.environment(service),
            cwd=self.image.app_folder,
            capture_output=True,
            check=False,
        )
        return completed_process.returncode == 0

    def fetch(self, port: int, path: str, body: object = None) -> bytes:
        """Return the body of an HTTP response; a status above 399 raises HTTPError."""
        request_body = None if body is None else json.dumps(body).encode()
        request = Request(
            f"http://127.0.0.1:{port}{path}", request_body, {"Content-Type": "application/json"}
        )
        with urlopen(request, timeout=10) as response:
            content: bytes = response.read()
        return content

    def metric_value(self, port: int, series: str) -> float:
        """Return the value of a series, a name with labels, in /metrics; 0 if it is missing."""
        lines = self.fetch(port, "/metrics").decode().splitlines()
        values = [line.rpartition(" ")[2] for line in lines if line.startswith(f"{series} ")]
        return float(values[0]) if values else 0.0

    def logs(self) -> str:
        """Return the last lines of every service's log, for the message of a failed test."""
        programs = self.programs.items()
        return "\n".join(f"{name}: {last_lines(program.log, 5)}" for name, program in programs)

    def close(self) -> None:
        """Stop every service that is still running."""
        for program in self.programs.values():
            program.close()
