"""The supervisor restarts crashed workers and stops all workers together."""

import os
import signal
import sys
from pathlib import Path

import pytest

from sensorwatch.common.errors import Fenced
from sensorwatch.consumer.supervisor import FINAL_EXIT_CODES
from tests.brokers.child_processes import ChildProcess, wait_until

REPOSITORY_ROOT = Path(__file__).parents[2]
# Replaces `python -m sensorwatch.consumer`. The variable CODES_<n> has the exit codes of the first
# runs of worker n.
WORKER_SCRIPT = """
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
IGNORING_WORKER_SCRIPT = WORKER_SCRIPT.replace("signal.signal(", "pass; (")
SUPERVISOR_SCRIPT = """
import sys
from sensorwatch.common.runtime.setting_choices import LogFormat, LogLevel
from sensorwatch.common.runtime.logs import configure
from sensorwatch.consumer import supervisor
configure(LogFormat.JSON, LogLevel.INFO)
supervisor.RESTART_PAUSES_SECONDS = (0.05, 0.1)
sys.exit(supervisor.supervise(2, ["--group", "g"]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    package_folder = tmp_path / "sensorwatch" / "consumer"
    package_folder.mkdir(parents=True)
    # This package has only the modules written here; all other packages are the repository's.
    (package_folder.parent / "__init__.py").write_text(
        f"__path__.append({str(REPOSITORY_ROOT / 'sensorwatch')!r})"
    )
    (package_folder / "__main__.py").write_text(WORKER_SCRIPT)
    supervisor = REPOSITORY_ROOT / "consumer" / "supervisor.py"
    (package_folder / "supervisor.py").write_text(supervisor.read_text())
    (package_folder / "__init__.py").write_text("")
    return tmp_path


def start_supervisor(folder: Path, **codes: str) -> ChildProcess:
    """Start a supervisor of two workers.

    `codes` has the exit codes of a worker's first runs, as in `worker1="70,3"`.
    """
    environment = {
        f"CODES_{name.removeprefix('worker')}": code_list for name, code_list in codes.items()
    }
    return ChildProcess(
        [sys.executable, "-c", SUPERVISOR_SCRIPT],
        log=folder / "log",
        environment={
            **environment,
            "FOLDER": str(folder),
            "PYTHONPATH": os.pathsep.join([str(folder), str(REPOSITORY_ROOT)]),
        },
        folder=folder,
    )


def run_count(folder: Path, worker: int) -> int:
    path = folder / f"runs-{worker}"
    return len(path.read_text()) if path.exists() else 0


def wait_for_files(folder: Path, *file_names: str) -> None:
    """Wait until the files have text; a new file is empty for a moment."""
    files = [folder / name for name in file_names]
    wait_until(
        lambda: all(file.exists() and file.stat().st_size for file in files),
        deadline=20,
        what=str(file_names),
    )


def test_each_worker_has_its_number_and_sigterm_stops_all_workers(folder: Path) -> None:
    with start_supervisor(folder) as process:
        wait_for_files(folder, "waiting-0", "waiting-1")
        assert (folder / "arguments-1").read_text() == "--group g --worker 1"

        assert process.terminate(deadline=10) == 0

    wait_for_files(folder, "stopped-0", "stopped-1")


def test_a_crashed_worker_is_restarted_and_the_other_worker_is_not(folder: Path) -> None:
    with start_supervisor(folder, worker1="70,3,-9") as process:
        wait_for_files(folder, "waiting-0", "waiting-1")

        assert (run_count(folder, 0), run_count(folder, 1)) == (1, 4)
        assert process.terminate(deadline=10) == 0


def test_a_killed_worker_is_restarted(folder: Path) -> None:
    with start_supervisor(folder) as process:
        wait_for_files(folder, "waiting-0", "waiting-1")
        os.kill(int((folder / "waiting-0").read_text()), signal.SIGKILL)

        wait_until(lambda: run_count(folder, 0) == 2, deadline=20, what="a second run")
        assert process.terminate(deadline=10) == 0


@pytest.mark.parametrize("code", sorted(FINAL_EXIT_CODES))
def test_a_final_exit_code_ends_all_workers(folder: Path, code: int) -> None:
    with start_supervisor(folder, worker0=str(code)) as process:
        assert process.wait(deadline=20) == code

    assert run_count(folder, 0) == 1


def test_only_a_worker_that_is_fenced_twice_in_a_row_ends_all_workers(folder: Path) -> None:
    """A worker may be fenced once because its own transaction timed out."""
    exit_code = Fenced.exit_code
    with start_supervisor(folder, worker0=f"{exit_code},{exit_code}") as process:
        assert process.wait(deadline=20) == exit_code
    assert run_count(folder, 0) == 2

    with start_supervisor(folder, worker1=f"{exit_code},70,{exit_code}") as process:
        wait_until(lambda: run_count(folder, 1) >= 4, deadline=20, what="a fourth run")
        assert process.terminate(deadline=10) == 0


def test_the_supervisor_exits_with_the_code_of_the_failed_worker(
    folder: Path,
) -> None:
    (folder / "sensorwatch" / "consumer" / "__main__.py").write_text(IGNORING_WORKER_SCRIPT)
    with start_supervisor(folder, worker0="5") as process:
        assert process.wait(deadline=20) == 5
