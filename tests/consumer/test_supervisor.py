"""The supervisor restarts crashed workers and stops all workers together."""

import os
import signal
import sys
from pathlib import Path

import pytest

from sensorwatch.common.errors import Fenced
from sensorwatch.consumer.supervisor import FINAL_CODES
from tests.brokers.child_processes import Program, wait_until

ROOT = Path(__file__).parents[2]
# Replaces `python -m sensorwatch.consumer`; the environment has the exit codes of its runs.
WORKER = """
import os, pathlib, signal, sys, time
number = sys.argv[sys.argv.index("--worker") + 1]
folder = pathlib.Path(os.environ["FOLDER"])
runs = folder / f"runs-{number}"
runs.write_text(runs.read_text() + "x" if runs.exists() else "x")
(folder / f"arguments-{number}").write_text(" ".join(sys.argv[1:]))
codes = os.environ.get(f"CODES_{number}", "").split(",")
count = len(runs.read_text())
if count <= len(codes) and codes[count - 1]:
    sys.exit(int(codes[count - 1]))
def stop(*_):
    (folder / f"stopped-{number}").write_text("x")
    sys.exit(0)
signal.signal(signal.SIGTERM, stop)
(folder / f"waiting-{number}").write_text(str(os.getpid()))
while True:
    time.sleep(0.05)
"""
IGNORES_SIGTERM = WORKER.replace("signal.signal(", "pass; (")
SUPERVISOR = """
import sys
from sensorwatch.common.runtime.setting_choices import LogFormat, LogLevel
from sensorwatch.common.runtime.logs import configure
from sensorwatch.consumer import supervisor
configure(LogFormat.JSON, LogLevel.INFO)
supervisor.BACKOFF_SECONDS = (0.05, 0.1)
sys.exit(supervisor.supervise(2, ["--group", "g"]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package = tmp_path / "sensorwatch" / "consumer"
    package.mkdir(parents=True)
    # This package has only the stand-in of the consumer; the others are those of the repository.
    (package.parent / "__init__.py").write_text(f"__path__.append({str(ROOT / 'sensorwatch')!r})")
    (package / "__main__.py").write_text(WORKER)
    supervisor = ROOT / "consumer" / "supervisor.py"
    (package / "supervisor.py").write_text(supervisor.read_text())
    (package / "__init__.py").write_text("")
    return tmp_path


def start(folder: Path, **codes: str) -> Program:
    """Start two workers; `codes` are the exit codes of a worker's first runs."""
    environment = {f"CODES_{name.removeprefix('worker')}": text for name, text in codes.items()}
    return Program(
        [sys.executable, "-c", SUPERVISOR],
        log=folder / "log",
        environment={
            **environment,
            "FOLDER": str(folder),
            "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)]),
        },
        folder=folder,
    )


def runs(folder: Path, worker: int) -> int:
    path = folder / f"runs-{worker}"
    return len(path.read_text()) if path.exists() else 0


def wait_for(folder: Path, *names: str) -> None:
    wait_until(
        lambda: all((folder / name).exists() for name in names), deadline=20, what=str(names)
    )


def test_each_worker_has_its_number_and_sigterm_stops_them_all(folder: Path) -> None:
    with start(folder) as program:
        wait_for(folder, "waiting-0", "waiting-1")
        assert (folder / "arguments-1").read_text() == "--group g --worker 1"

        assert program.terminate(deadline=10) == 0

    wait_for(folder, "stopped-0", "stopped-1")


def test_a_crashed_worker_is_restarted_and_the_other_one_is_not(folder: Path) -> None:
    with start(folder, worker1="70,3,-9") as program:
        wait_for(folder, "waiting-0", "waiting-1")

        assert (runs(folder, 0), runs(folder, 1)) == (1, 4)
        assert program.terminate(deadline=10) == 0


def test_a_killed_worker_is_restarted(folder: Path) -> None:
    with start(folder) as program:
        wait_for(folder, "waiting-0", "waiting-1")
        os.kill(int((folder / "waiting-0").read_text()), signal.SIGKILL)

        wait_until(lambda: runs(folder, 0) == 2, deadline=20, what="a second run")
        assert program.terminate(deadline=10) == 0


@pytest.mark.parametrize("code", sorted(FINAL_CODES))
def test_a_final_exit_code_ends_all_workers(folder: Path, code: int) -> None:
    with start(folder, worker0=str(code)) as program:
        assert program.wait(deadline=20) == code

    assert runs(folder, 0) == 1


def test_fenced_is_final_only_the_second_time_in_a_row(folder: Path) -> None:
    """The first time, the worker's own transaction may have timed out."""
    fenced = Fenced.exit_code
    with start(folder, worker0=f"{fenced},{fenced}") as program:
        assert program.wait(deadline=20) == fenced
    assert runs(folder, 0) == 2

    with start(folder, worker1=f"{fenced},70,{fenced}") as program:
        wait_until(lambda: runs(folder, 1) >= 4, deadline=20, what="a fourth run")
        assert program.terminate(deadline=10) == 0


def test_the_exit_code_is_that_of_the_failed_worker_and_not_of_a_terminated_one(
    folder: Path,
) -> None:
    (folder / "sensorwatch" / "consumer" / "__main__.py").write_text(IGNORES_SIGTERM)
    with start(folder, worker0="5") as program:
        assert program.wait(deadline=20) == 5
