"""Chooses a real Apache Kafka for the tests: a given address, a container or jars."""

import os
from pathlib import Path

from tests.brokers.container_server import ContainerServer, reason_docker_is_missing
from tests.brokers.jar_server import JarServer
from tests.brokers.jars import reason_java_is_missing
from tests.brokers.kafka import BrokerMissing, Kafka, Server

ADDRESS_VARIABLE = "SENSORWATCH_TEST_KAFKA"
REQUIRE_VARIABLE = "SENSORWATCH_REQUIRE_KAFKA"


class AddressServer:
    """A broker that is already running and cannot be stopped by a test."""

    kind = "address"

    def __init__(self, address: str) -> None:
        self.address = address

    def start(self) -> None:
        """Do nothing: the broker is running."""

    def kill(self) -> None:
        """Raise RuntimeError, because a test must not kill this broker."""
        raise RuntimeError(
            f"the broker at {self.address} cannot be killed by a test; use `own_kafka`"
        )

    def close(self) -> None:
        """Do nothing: the broker keeps running."""

    @property
    def running(self) -> bool:
        """Always True: the tests do not control this broker."""
        return True

    def log_tail(self) -> str:
        """Return a note on which environment variable has the address."""
        return f"the address came from {ADDRESS_VARIABLE}"


def reason_kafka_is_missing() -> str | None:
    """Return why the tests have no real Kafka, or None if there is one."""
    if os.environ.get(ADDRESS_VARIABLE):
        return None
    reasons = [f"{ADDRESS_VARIABLE} is not set"]
    for find_reason in (reason_docker_is_missing, reason_java_is_missing):
        reason = find_reason()
        if reason is None:
            return None
        reasons.append(reason)
    return "no real Apache Kafka here: " + "; ".join(reasons)


def kafka_required() -> bool:
    """Return True if tests without a broker must fail, as in CI; otherwise they are skipped."""
    return os.environ.get(REQUIRE_VARIABLE, "") not in {"", "0"}


def shared_server(data_folder: Path) -> Server:
    """Return the broker at the given address, or else a new broker.

    A broker from jars stores its data in `data_folder`. Raises BrokerMissing if no broker can be
    started.
    """
    address = os.environ.get(ADDRESS_VARIABLE)
    return AddressServer(address) if address else own_server(data_folder)


def own_server(data_folder: Path) -> Server:
    """Return a broker that a test may kill; a broker from jars stores its data in `data_folder`.

    Raises BrokerMissing if no broker can be started.
    """
    return JarServer(data_folder) if reason_docker_is_missing() else ContainerServer()


__all__ = [
    "BrokerMissing",
    "Kafka",
    "kafka_required",
    "own_server",
    "reason_kafka_is_missing",
    "shared_server",
]
