"""Commands as child processes, which a test can kill, freeze and wait for."""

import atexit
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

T = TypeVar("T")

_open_programs: set["ChildProcess"] = set()


class DeadlineMissed(AssertionError):
    """A condition did not become true in time."""


def wait_until(
    condition: Callable[[], T | None], *, deadline: float, what: str, every: float = 0.02
) -> T:
    """Call `condition` until its result is true, and return the result.

    `condition` is called every `every` seconds. After `deadline` seconds without success, raises
    DeadlineMissed; its text contains `what`, a description of the condition.
    """
    end_time = time.monotonic() + deadline
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end_time:
            raise DeadlineMissed(
                f"waited {deadline:g} s without success for: {what} (last: {result!r})"
            )
        time.sleep(every)


def last_lines(path: Path, lines: int = 40) -> str:
    """Return the last lines of a log file, or a note that the file does not exist."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return f"({path} was never written)"


class ChildProcess:
    """A command that runs in a separate process group and writes its output to a file.

    All signals except SIGTERM go to every process of the group, so children get them too.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Start `command` and append its output to `log`.

        The command gets the variables of `environment` in addition to those of this process.
        """
        self.command = list(command)
        self.log = log
        with log.open("ab") as output:
            self._process = subprocess.Popen(
                self.command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                cwd=folder,
                start_new_session=True,
            )
        _open_programs.add(self)

    @property
    def pid(self) -> int:
        """The process id, which is also the id of the process group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, which is negative after a signal; None while the command runs."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        """True until the command has ended; a frozen command counts as running."""
        return self.exit_code is None

    def kill(self) -> None:
        """Kill all processes of the group (SIGKILL)."""
        self.close()

    def freeze(self) -> None:
        """Freeze all processes of the group (SIGSTOP)."""
        self._send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Continue all processes of the group (SIGCONT)."""
        self._send_signal(signal.SIGCONT)

    def terminate(self, *, deadline: float = 10) -> int:
        """Send SIGTERM to the command's own process, not to its children; return the exit code."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        return self.wait(deadline=deadline)

    def wait(self, *, deadline: float) -> int:
        """Wait for the command to end and return its exit code.

        Raises DeadlineMissed, whose text has the end of the log, after `deadline` seconds.
        """
        try:
            return self._process.wait(timeout=deadline)
        except subprocess.TimeoutExpired:
            raise DeadlineMissed(
                f"{self.command} still runs after {deadline:g} s; its log ends:\n"
                f"{last_lines(self.log)}"
            ) from None

    def close(self) -> None:
        """Kill the remaining processes of the group; a second call does nothing."""
        if self in _open_programs:
            _open_programs.discard(self)
            self._send_signal(signal.SIGKILL)
            self._process.wait(timeout=10)

    def _send_signal(self, signal_number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, signal_number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        error_class: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


@atexit.register
def _close_all_programs() -> None:
    for program in list(_open_programs):
        program.close()
