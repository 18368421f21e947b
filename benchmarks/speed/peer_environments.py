"""The peers' environments: one virtual environment each, made when first asked for."""

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
    """The peer cannot be had on this machine; the text says what was tried."""


@dataclass(frozen=True, slots=True)
class Peer:
    """A framework, and how much of the job it is given."""

    name: str
    folder: str
    guarantee: str
    rows: int
    """Enough rows for a run of ten seconds or more."""
    validation: str = MSGSPEC
    short_rows: int = 0
    """Rows of a second run, to subtract start-up; 0: its own clock begins with its first row."""

    def as_compared_system(self, bench: Testbed) -> ComparedSystem:
        """Return it ready to run; raises NoPeer."""
        script = script_of(self.folder, bench, {"VALIDATION": self.validation})

        def drain_rows(rows: int) -> DrainRun:
            size = int(rows * bench.options.peer_share)
            try:
                return script.run(bench.drain_setup(sensors=bench.options.few_sensors, rows=size))
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


def script_of(folder: str, bench: Testbed, environment_values: Mapping[str, str]) -> PeerScript:
    """Return a peer's script with its Python and its environment; raises NoPeer."""
    environments_folder = bench.options.environments
    environment_values = {"JARS": str(_jars_of(environments_folder / folder)), **environment_values}
    return PeerScript(
        f"{folder}/{folder}_drain.py", _environment(folder, environments_folder), environment_values
    )


def _environment(folder: str, environments_folder: Path) -> Path:
    """Return the Python of a peer's environment; install the environment the first time."""
    home, requirements = environments_folder / folder, FOLDER / folder / "requirements.txt"
    python, done = home / "bin" / "python", home / "installed.txt"
    if done.exists() and done.read_bytes() == requirements.read_bytes():
        return python
    print(f"installing {folder} into {home} ...", flush=True)
    _run([sys.executable, "-m", "venv", str(home)])
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install"]
    _run([*pip, "-r", str(requirements)])
    pom = FOLDER / folder / "pom.xml"
    if pom.exists():
        maven = ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies"]
        _run([*maven, f"-DoutputDirectory={_jars_of(home)}", "-DincludeScope=runtime"])
    shutil.copy(requirements, done)
    return python


def _jars_of(home: Path) -> Path:
    """Return the folder of the Java libraries that an environment has beside its packages."""
    return home / "jars"


def _run(command: list[str]) -> None:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=INSTALL_SECONDS
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerUnavailable(f"`{' '.join(command)}`: {error}") from error
    if done.returncode:
        output_text = re.sub(
            r"\S+://\S+", "(address)", done.stdout + done.stderr
        )  # ends in a document
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
