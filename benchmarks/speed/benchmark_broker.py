"""One real Kafka for the whole run, started from its jars, always stopped at the end."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sensorwatch.common.errors import UsageError
from tests.brokers.jar_server import JarServer
from tests.brokers.jars import KAFKA_VERSION
from tests.brokers.kafka import BrokerMissing, Kafka

KAFKA = f"Apache Kafka {KAFKA_VERSION} on the same machine"


@contextmanager
def a_broker() -> Iterator[Kafka]:
    """Start a broker in a process group and a folder of its own; raises UsageError without one."""
    with tempfile.TemporaryDirectory(prefix="sensorwatch-bench-") as home:
        try:
            server = JarServer(Path(home))
        except BrokerMissing as missing:
            raise UsageError(f"the speed of a consumer needs a real Kafka: {missing}") from missing
        kafka = Kafka(server)
        try:
            yield kafka.start()
        finally:
            kafka.close()
