"""A Kafka broker that Java runs from jars, with a process group and a data folder of its own."""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from tests.brokers.child_processes import ChildProcess, last_lines
from tests.brokers.cluster_plan import ClusterPlan, cluster_plan
from tests.brokers.jars import JarsMissing, kafka_jars, reason_java_is_missing
from tests.brokers.kafka import BrokerMissing


class JarServer:
    """A single KRaft broker, started from jars.

    With `advertised_port` the broker sends its clients to that port, for example to a proxy.
    """

    kind = "jars"

    def __init__(
        self,
        data_folder: Path,
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
        self._properties = data_folder / "server.properties"
        self._log = data_folder / "broker.log"
        self._process: ChildProcess | None = None
        self.address = f"127.0.0.1:{advertised_port or node.port}"
        self._properties.write_text(
            plan.server_properties(node, data=data_folder / "data", advertised_port=advertised_port)
        )
        self._format_storage(plan.cluster_id)

    def start(self) -> None:
        """Start the broker; Linux may kill the broker when the calling thread ends."""
        options = [*self._java_options, "-XX:+UseSerialGC", "-Dorg.apache.logging.log4j.level=WARN"]
        command = self._java_command(*options, main_class="kafka.Kafka")
        self._process = ChildProcess(
            [*_parent_death_prefix(), *command, str(self._properties)], log=self._log
        )

    def kill(self) -> None:
        """Kill the broker's process group."""
        if self._process is not None:
            self._process.close()

    def close(self) -> None:
        """Kill the broker's process group; pytest removes the broker's data later."""
        self.kill()

    @property
    def running(self) -> bool:
        """True if the broker's process is running."""
        return self._process is not None and self._process.running

    def log_tail(self) -> str:
        """Return the end of the broker's log."""
        return f"{self._log} ends:\n{last_lines(self._log)}"

    def _java_command(self, *options: str, main_class: str) -> list[str]:
        return ["java", *options, "-cp", f"{self._jars}/*", main_class]

    def _format_storage(self, cluster_id: str) -> None:
        # The id follows "=" in the same argument; as a separate argument, an id that begins with
        # "-" would be read as an option.
        arguments = ["format", f"--cluster-id={cluster_id}", "-c", str(self._properties)]
        command = self._java_command(
            "-XX:TieredStopAtLevel=1", main_class="kafka.tools.StorageTool"
        )
        completed_process = subprocess.run(
            [*command, *arguments], capture_output=True, text=True, check=False
        )
        if completed_process.returncode != 0:
            raise RuntimeError(
                "formatting the broker's storage failed: "
                f"{completed_process.stdout}{completed_process.stderr}"
            )


def _parent_death_prefix() -> list[str]:
    """Return a command prefix that makes Linux kill the broker when the test process ends.

    Without the program `setpriv` the prefix is empty.
    """
    setpriv_path = shutil.which("setpriv")
    return [setpriv_path, "--pdeathsig", "KILL", "--"] if setpriv_path else []
