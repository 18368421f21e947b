"""A broker run from the jars with Java, in a process group and a data folder of its own."""

import base64
import shutil
import subprocess
import uuid
from pathlib import Path

from tests.brokers.child_processes import Program, tail
from tests.brokers.jars import JarsMissing, java_missing, kafka_jars
from tests.brokers.kafka import BrokerMissing
from tests.brokers.ports import free_ports

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=B://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=B://127.0.0.1:{advertised}
listener.security.protocol.map=B:PLAINTEXT,CONTROLLER:PLAINTEXT
controller.listener.names=CONTROLLER
inter.broker.listener.name=B
log.dirs={data}
auto.create.topics.enable=false
broker.session.timeout.ms=4000
broker.heartbeat.interval.ms=1000
group.initial.rebalance.delay.ms=0
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=6000
group.consumer.min.heartbeat.interval.ms=500
group.share.enable=false
"""


class JarServer:
    """A single broker in KRaft mode; `advertised_port` sends its clients through a proxy."""

    kind = "jars"

    def __init__(self, home: Path, *, advertised_port: int | None = None) -> None:
        """Format the storage in `home`; raise BrokerMissing without Java or the jars."""
        missing = java_missing()
        if missing is not None:
            raise BrokerMissing(missing)
        try:
            self._jars = kafka_jars()
        except JarsMissing as error:
            raise BrokerMissing(str(error)) from error
        self.port, controller = free_ports(2)
        self._properties = home / "server.properties"
        self._log = home / "broker.log"
        self._program: Program | None = None
        self.address = f"127.0.0.1:{advertised_port or self.port}"
        self._properties.write_text(
            _PROPERTIES.format(
                controller=controller,
                port=self.port,
                advertised=advertised_port or self.port,
                data=home / "data",
            )
        )
        self._format()

    def start(self) -> None:
        """Start the broker's process; call it from a thread that stays (Linux: see `_kill_with_parent`)."""
        heap = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC"]
        quiet = ["-Dorg.apache.logging.log4j.level=WARN"]
        command = self._java(*heap, *quiet, main="kafka.Kafka")
        self._program = Program(
            [*_kill_with_parent(), *command, str(self._properties)], log=self._log
        )

    def kill(self) -> None:
        """Kill the broker's process group."""
        if self._program is not None:
            self._program.close()

    def close(self) -> None:
        """Kill the broker's process group; its data is in a folder that the test run removes."""
        self.kill()

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._program is not None and self._program.running

    def log_tail(self) -> str:
        """Return the end of the broker's log."""
        return f"{self._log} ends:\n{tail(self._log)}"

    def _java(self, *options: str, main: str) -> list[str]:
        return ["java", *options, "-cp", f"{self._jars}/*", main]

    def _format(self) -> None:
        cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # An id that begins with "-" would be read as an option.
        arguments = ["format", "--cluster-id=" + cluster, "-c", str(self._properties)]
        command = self._java("-XX:TieredStopAtLevel=1", main="kafka.tools.StorageTool")
        done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(
                f"formatting the broker's storage failed: {done.stdout}{done.stderr}"
            )


def _kill_with_parent() -> list[str]:
    """Let the kernel end the broker with the thread that started it, even by kill -9."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
