"""Virtual environments of the other frameworks; each is installed at its first use."""

import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed.compared_systems import MSGSPEC, PYDANTIC, ComparedSystem, PeerScript
from benchmarks.speed.compared_systems import PEERS as FOLDER
from benchmarks.speed.run_statistics import DrainRun, marginal_run
from benchmarks.speed.testbed import Testbed

INSTALL_SECONDS = 1_800


class PeerUnavailable(Exception):
    """A framework cannot run on this machine; the message contains the failed step."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A stream framework to compare with, and the size of its runs."""

    name: str
    folder: str
    guarantee: str
    rows: int
    """Number of rows of a run; with it, a run takes at least ten seconds."""
    validation: str = MSGSPEC
    short_rows: int = 0
    """Number of rows of a short run; it is subtracted from a long run to exclude the start-up time.

    0: there is no short run, because the framework's clock starts at its first row.
    """

    def as_compared_system(self, testbed: Testbed) -> ComparedSystem:
        """Return the framework as a system of the comparison; raises PeerUnavailable."""
        script = script_of(self.folder, testbed, {"VALIDATION": self.validation})

        def drain_rows(rows: int) -> DrainRun:
            drained_rows = int(rows * testbed.options.peer_share)
            try:
                return script.run(
                    testbed.drain_setup(sensors=testbed.options.few_sensors, rows=drained_rows)
                )
            except (RuntimeError, subprocess.TimeoutExpired) as error:
                raise PeerUnavailable(str(error)) from error

        def run(_: object) -> DrainRun:
            if not self.short_rows:
                return drain_rows(self.rows)
            try:
                return marginal_run(drain_rows(self.short_rows), drain_rows(self.rows))
            except ValueError as error:
                raise PeerUnavailable(str(error)) from error

        return ComparedSystem(self.name, self.guarantee, run)


def script_of(folder: str, testbed: Testbed, environment_values: Mapping[str, str]) -> PeerScript:
    """Return a framework's program; raises PeerUnavailable if its environment is not installed."""
    environments_folder = testbed.options.environments
    environment_values = {"JARS": str(_jars_of(environments_folder / folder)), **environment_values}
    return PeerScript(
        f"{folder}/{folder}_drain.py", _environment(folder, environments_folder), environment_values
    )


def _environment(folder: str, environments_folder: Path) -> Path:
    """Return the Python of a framework's environment, which is installed if it is missing."""
    environment_folder, requirements = (
        environments_folder / folder,
        FOLDER / folder / "requirements.txt",
    )
    python, marker = environment_folder / "bin" / "python", environment_folder / "installed.txt"
    if marker.exists() and marker.read_bytes() == requirements.read_bytes():
        return python
    print(f"installing {folder} into {environment_folder} ...", flush=True)
    _run_command([sys.executable, "-m", "venv", str(environment_folder)])
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    _run_command([*pip, "-r", str(requirements)])
    pom = FOLDER / folder / "pom.xml"
    if pom.exists():
        maven = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
        _run_command(
            [*maven, f"-DoutputDirectory={_jars_of(environment_folder)}", "-DincludeScope=runtime"]
        )
    shutil.copy(requirements, marker)
    return python


def _jars_of(environment_folder: Path) -> Path:
    """Return the folder in an environment for its Java libraries."""
    return environment_folder / "jars"


def _run_command(command: list[str]) -> None:
    try:
        completed = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerUnavailable(f"`{' '.join(command)}`: {error}") from error
    if completed.returncode:
        # addresses are removed, because the text becomes part of a document
        output_text = re.sub(r"\S+://\S+", "(address)", completed.stdout + completed.stderr)
        raise PeerUnavailable(
            f"`{Path(command[0]).name} {' '.join(command[1:])}` failed: {output_text[-500:]}"
        )


SPARK = "Spark Structured Streaming"
PEERS = (
    Peer(SPARK, "spark", "at least once", 1_000_000, short_rows=100_000),
    Peer("Bytewax, pydantic", "bytewax", "at least once", 300_000, PYDANTIC),
    Peer("Bytewax", "bytewax", "at least once", 300_000),
    Peer("Quix Streams, pydantic", "quix", "at least once", 300_000, PYDANTIC),
    Peer("Quix Streams", "quix", "at least once", 300_000),
    Peer("Flink, Table API", "flink", "exactly once", 500_000, short_rows=100_000),
    Peer("Faust", "faust", "at least once", 100_000),
)
