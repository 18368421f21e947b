"""A test can freeze, continue and await a child process, and kill it with its children."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from tests.brokers.child_processes import ChildProcess, DeadlineMissed, wait_until

PRINT_CODE = "print('up', flush=True);"
SLEEP_CODE = PRINT_CODE + "import time; time.sleep(600)"
START_CHILD_CODE = (
    "import subprocess,sys; subprocess.Popen([sys.executable,'-c','import time;time.sleep(600)']);"
)
IGNORE_SIGTERM_CODE = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEP_CODE

StartProgram = Callable[[str], ChildProcess]


@pytest.fixture
def start_program(tmp_path: Path) -> Iterator[StartProgram]:
    started_programs: list[ChildProcess] = []

    def start_code(code: str) -> ChildProcess:
        log = tmp_path / f"{len(started_programs)}.log"
        started_programs.append(ChildProcess([sys.executable, "-c", code], log=log))
        wait_until(log.read_text, deadline=10, what="the program to be up")
        return started_programs[-1]

    yield start_code
    for program in started_programs:
        program.close()


def test_killing_a_program_kills_its_children(start_program: StartProgram) -> None:
    program = start_program(START_CHILD_CODE + SLEEP_CODE)
    (child_process,) = psutil.Process(program.pid).children()

    program.kill()

    assert program.exit_code == -signal.SIGKILL
    wait_until(lambda: not _is_alive(child_process), deadline=5, what="the end of the child")


def test_close_kills_children_that_outlive_the_program(start_program: StartProgram) -> None:
    program = start_program(START_CHILD_CODE + PRINT_CODE + "import time; time.sleep(0.3)")
    (child_process,) = psutil.Process(program.pid).children()
    program.wait(deadline=5)
    assert _is_alive(child_process)

    program.close()

    wait_until(lambda: not _is_alive(child_process), deadline=5, what="the end of the child")


def test_a_frozen_program_is_running_and_can_be_continued(start_program: StartProgram) -> None:
    program = start_program(SLEEP_CODE)
    process = psutil.Process(program.pid)

    program.freeze()
    wait_until(lambda: process.status() == psutil.STATUS_STOPPED, deadline=5, what="the freeze")
    assert program.running
    program.thaw()

    wait_until(lambda: process.status() != psutil.STATUS_STOPPED, deadline=5, what="the thaw")
    assert program.terminate(deadline=5) == -signal.SIGTERM


def test_the_error_for_a_program_that_does_not_end_has_its_log(start_program: StartProgram) -> None:
    program = start_program(IGNORE_SIGTERM_CODE)

    with pytest.raises(DeadlineMissed, match=r"still runs after 0\.2 s; its log ends:\nup"):
        program.terminate(deadline=0.2)


def test_a_program_has_its_own_variables_and_those_of_the_tests(tmp_path: Path) -> None:
    log = tmp_path / "log"
    code = "import os; print(os.environ['ADDED'], os.environ['PATH'])"

    with ChildProcess([sys.executable, "-c", code], log=log, environment={"ADDED": "x"}) as program:
        assert program.wait(deadline=10) == 0

    assert log.read_text().strip() == f"x {os.environ['PATH']}"


def test_the_error_of_wait_until_names_the_condition() -> None:
    with pytest.raises(DeadlineMissed, match="for: a condition"):
        wait_until(lambda: False, deadline=0, what="a condition")


def _is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
