"""A real Apache Kafka from whichever of three back ends this machine has."""

import os
from pathlib import Path

from tests.brokers.container_server import ContainerServer, docker_missing
from tests.brokers.jar_server import JarServer
from tests.brokers.jars import java_missing
from tests.brokers.kafka import BrokerMissing, Kafka, Server

ADDRESS_VARIABLE = "SENSORWATCH_TEST_KAFKA"
REQUIRE_VARIABLE = "SENSORWATCH_REQUIRE_KAFKA"


class AddressServer:
    """A broker that somebody else runs; it cannot be stopped from here."""

    kind = "address"

    def __init__(self, address: str) -> None:
        self.address = address

    def start(self) -> None:
        """Do nothing: it runs already."""

    def kill(self) -> None:
        """Refuse."""
        raise RuntimeError(f"the broker at {self.address} is not ours to kill; use `own_kafka`")

    def close(self) -> None:
        """Do nothing: it is not ours."""

    @property
    def running(self) -> bool:
        """Assume so."""
        return True

    def log_tail(self) -> str:
        """Name the variable the address came from."""
        return f"the address came from {ADDRESS_VARIABLE}"


def kafka_missing() -> str | None:
    """Say why no real Kafka can be had here, or None where one can be started."""
    if os.environ.get(ADDRESS_VARIABLE):
        return None
    reasons = [f"{ADDRESS_VARIABLE} is not set"]
    for missing in (docker_missing, java_missing):
        reason = missing()
        if reason is None:
            return None
        reasons.append(reason)
    return "no real Apache Kafka here: " + "; ".join(reasons)


def kafka_required() -> bool:
    """Whether a missing broker is a failure (as in CI) rather than a reason to skip."""
    return os.environ.get(REQUIRE_VARIABLE, "") not in {"", "0"}


def shared_server(home: Path) -> Server:
    """Return the first back end that can be had, its data (if ours) in `home`.

    Raises BrokerMissing where there is none.
    """
    address = os.environ.get(ADDRESS_VARIABLE)
    return AddressServer(address) if address else own_server(home)


def own_server(home: Path) -> Server:
    """Return a broker that a test may kill, its data (where it runs from jars) in `home`.

    Raises BrokerMissing where there is none.
    """
    return JarServer(home) if docker_missing() else ContainerServer()


__all__ = [
    "BrokerMissing",
    "Kafka",
    "kafka_missing",
    "kafka_required",
    "own_server",
    "shared_server",
]
