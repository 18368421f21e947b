"""A broker that Java runs from jars, in a separate process group and data folder."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.brokers.child_processes import ChildProcess, tail
from tests.brokers.cluster_plan import ClusterPlan, cluster_plan
from tests.brokers.jars import JarsMissing, kafka_jars, reason_java_is_missing
from tests.brokers.kafka import BrokerMissing


class JarServer:
    """A broker in KRaft mode; its clients connect to `advertised_port`, the port of a proxy."""

    kind = "jars"

    def __init__(
        self,
        home: Path,
        *,
        plan: ClusterPlan | None = None,
        number: int = 1,
        java_options: Sequence[str] = ("-Xms256m", "-Xmx512m"),
        advertised_port: int | None = None,
    ) -> None:
        """Format the storage of broker `number` of `plan`; the default plan has one broker.

        Raises BrokerMissing without Java or the jars.
        """
        missing_reason = reason_java_is_missing()
        if missing_reason is not None:
            raise BrokerMissing(missing_reason)
        try:
            self._jars = kafka_jars()
        except JarsMissing as error:
            raise BrokerMissing(str(error)) from error
        plan = plan or cluster_plan()
        node = plan.nodes[number - 1]
        self.port = node.port
        self._java_options = java_options
        self._properties = home / "server.properties"
        self._log = home / "broker.log"
        self._process: ChildProcess | None = None
        self.address = f"127.0.0.1:{advertised_port or node.port}"
        self._properties.write_text(
            plan.properties(node, data=home / "data", advertised_port=advertised_port)
        )
        self._format(plan.cluster_id)

    def start(self) -> None:
        """Start the broker; the kernel may kill the broker when the calling thread ends."""
        options = [*self._java_options, "-XX:+UseSerialGC", "-Dorg.apache.logging.log4j.level=WARN"]
        command = self._java(*options, main="kafka.Kafka")
        self._process = ChildProcess(
            [*_parent_death_prefix(), *command, str(self._properties)], log=self._log
        )

    def kill(self) -> None:
        """Kill the broker's process group."""
        if self._process is not None:
            self._process.close()

    def close(self) -> None:
        """Kill the broker's process group; its data is in a folder that the test run removes."""
        self.kill()

    @property
    def running(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.running

    def log_tail(self) -> str:
        """Return the end of the broker's log."""
        return f"{self._log} ends:\n{tail(self._log)}"

    def _java(self, *options: str, main: str) -> list[str]:
        return ["java", *options, "-cp", f"{self._jars}/*", main]

    def _format(self, cluster_id: str) -> None:
        # Without "=", an id that begins with "-" would be read as an option.
        arguments = ["format", f"--cluster-id={cluster_id}", "-c", str(self._properties)]
        command = self._java("-XX:TieredStopAtLevel=1", main="kafka.tools.StorageTool")
        result = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
        if result.returncode != 0:
            raise RuntimeError(
                f"formatting the broker's storage failed: {result.stdout}{result.stderr}"
            )


def _parent_death_prefix() -> list[str]:
    """Return a command prefix with which the kernel kills the broker if its parent ends.

    Without `setpriv` the prefix is empty.
    """
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "KILL", "--"] if setpriv else []
