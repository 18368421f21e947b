"""The services of docker-compose.yml."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
COMPOSE_FILE = ROOT / "docker-compose.yml"
OUR_IMAGE = "sensorwatch:local"


@dataclass(frozen=True, slots=True)
class Service:
    """One service of the compose file."""

    name: str
    image: str
    command: tuple[str, ...]
    environment: dict[str, str]
    healthcheck: tuple[str, ...]
    """The command of the health check, without its leading "CMD"; empty if there is none."""
    dependencies: dict[str, str]
    """The services for which this service waits, each with the condition that must be true."""
    container_ports: tuple[int, ...]
    grace_seconds: float

    @property
    def is_ours(self) -> bool:
        """Return True if the service runs the image of sensorwatch."""
        return self.image == OUR_IMAGE


def read_compose() -> dict[str, Any]:
    """Return the content of the compose file; its YAML merge keys are resolved."""
    document: dict[str, Any] = YAML(typ="safe").load(COMPOSE_FILE)
    return document


def services() -> dict[str, Service]:
    """Return all services by name; each one follows the services on which it depends."""
    services_by_name = {
        name: _service(name, definition) for name, definition in read_compose()["services"].items()
    }
    sorter = TopologicalSorter(
        {name: service.dependencies for name, service in services_by_name.items()}
    )
    return {name: services_by_name[name] for name in sorter.static_order()}


def our_services() -> dict[str, Service]:
    """Return the services that run sensorwatch's image; each one follows its dependencies."""
    return {name: service for name, service in services().items() if service.is_ours}


def is_one_shot(name: str) -> bool:
    """Return True if another service waits until this service ends successfully."""
    condition = "service_completed_successfully"
    return any(service.dependencies.get(name) == condition for service in services().values())


def _service(name: str, definition: dict[str, Any]) -> Service:
    healthcheck = definition.get("healthcheck", {}).get("test", ["CMD"])
    assert healthcheck[0] == "CMD", (
        f"{name}: a health check must not use a shell, which hides its program"
    )
    return Service(
        name=name,
        image=definition["image"],
        command=tuple(definition.get("command", ())),
        environment=dict(definition.get("environment", {})),
        healthcheck=tuple(healthcheck[1:]),
        dependencies=_dependencies(definition.get("depends_on", {})),
        container_ports=tuple(_container_ports(definition.get("ports", []))),
        grace_seconds=float(str(definition.get("stop_grace_period", "10s")).removesuffix("s")),
    )


def _dependencies(depends_on: list[str] | dict[str, dict[str, str]]) -> dict[str, str]:
    if isinstance(depends_on, list):
        return dict.fromkeys(depends_on, "service_started")
    return {name: dependency["condition"] for name, dependency in depends_on.items()}


def _container_ports(port_mappings: list[str]) -> Iterator[int]:
    for port_mapping in port_mappings:
        match = re.fullmatch(r"127\.0\.0\.1:\d+:(\d+)", port_mapping)
        assert match is not None, f"{port_mapping}: only loopback may be published"
        yield int(match[1])
