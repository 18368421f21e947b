"""A Kafka broker in a Docker container."""

import gc
import os
import warnings
from functools import cache
from typing import Any

from tests.brokers.kafka import BrokerMissing
from tests.brokers.ports import free_port

_DEFAULT_IMAGE = "confluentinc/cp-kafka:8.1.0"
"""Apache Kafka 4.1 from Confluent, whose start scripts testcontainers requires."""
_CONTAINER_PORT = 9093
_START_SECONDS = 120
_BROKER_ENVIRONMENT = {
    # By default the image requires three replicas of this topic; with one broker,
    # init_transactions would hang.
    "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
    "KAFKA_TRANSACTION_STATE_LOG_NUM_PARTITIONS": "4",
    "KAFKA_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS": "1000",
    "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
    "KAFKA_AUTO_CREATE_TOPICS_ENABLE": "false",
    "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
    "KAFKA_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS": "1000",
    "KAFKA_GROUP_CONSUMER_SESSION_TIMEOUT_MS": "6000",
    "KAFKA_GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS": "500",
}


@cache
def reason_docker_is_missing() -> str | None:
    """Return why no container can be started, or None if there is a Docker engine."""
    with warnings.catch_warnings():
        # The docker package does not close its socket if no engine answers.
        warnings.simplefilter("ignore", ResourceWarning)
        reason = _ask_docker()
        gc.collect()
    return reason


def _ask_docker() -> str | None:
    import docker  # type: ignore[import-untyped]  # no stubs here

    try:
        client = docker.from_env(timeout=5)
    except docker.errors.DockerException:
        return "no Docker engine answers"
    try:
        client.ping()
    except (docker.errors.DockerException, OSError):
        return "no Docker engine answers"
    finally:
        client.close()
    return None


class ContainerServer:
    """A single KRaft broker in a container; its port is the same after a restart."""

    kind = "container"

    def __init__(self) -> None:
        """Prepare the container; raises BrokerMissing without a Docker engine."""
        missing_reason = reason_docker_is_missing()
        if missing_reason is not None:
            raise BrokerMissing(missing_reason)
        self._container: Any = None
        # Docker would choose another host port at each restart, so a fixed port is bound.
        self._host_port = free_port()
        self.address = f"localhost:{self._host_port}"

    def start(self) -> None:
        """Start the container; a killed container keeps its data."""
        if self._container is not None:
            self._container.get_wrapped_container().start()
            return
        from testcontainers.community.kafka import KafkaContainer

        image = os.environ.get("SENSORWATCH_TEST_KAFKA_IMAGE", _DEFAULT_IMAGE)
        container = KafkaContainer(image, port=_CONTAINER_PORT).with_kraft()
        for name, value in _BROKER_ENVIRONMENT.items():
            container.with_env(name, value)
        container.with_bind_ports(_CONTAINER_PORT, self._host_port)
        self._container = container
        container.start(timeout=_START_SECONDS)
        self.address = container.get_bootstrap_server()

    def kill(self) -> None:
        """Kill the broker (SIGKILL); the stopped container keeps its data."""
        self._container.get_wrapped_container().kill()

    def close(self) -> None:
        """Remove the container."""
        if self._container is not None:
            self._container.stop()
            self._container = None

    @property
    def running(self) -> bool:
        """True if Docker reports that the container is running."""
        docker_container = self._container.get_wrapped_container()
        docker_container.reload()
        return bool(docker_container.status == "running")

    def log_tail(self) -> str:
        """Return the end of the container's log."""
        if self._container is None:
            return "(the container never started)"
        output, error_output = self._container.get_logs()
        return "\n".join((output + error_output).decode(errors="replace").splitlines()[-40:])
