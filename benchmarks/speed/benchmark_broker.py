"""Start a real Kafka broker from its jar files for a benchmark run, and stop it at the end."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sensorwatch.common.errors import UsageError
from tests.brokers.jar_server import JarServer
from tests.brokers.jars import KAFKA_VERSION
from tests.brokers.kafka import BrokerMissing, Kafka

KAFKA_DESCRIPTION = f"Apache Kafka {KAFKA_VERSION} on the same machine"


@contextmanager
def running_broker() -> Iterator[Kafka]:
    """Start a broker in its own process group and folder; raises UsageError if Kafka is missing."""
    with tempfile.TemporaryDirectory(prefix="sensorwatch-bench-") as broker_folder:
        try:
            server = JarServer(Path(broker_folder))
        except BrokerMissing as missing:
            raise UsageError(f"the speed benchmark needs a real Kafka: {missing}") from missing
        kafka = Kafka(server)
        try:
            yield kafka.start()
        finally:
            kafka.close()
