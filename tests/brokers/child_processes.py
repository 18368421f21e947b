"""Programs under test as processes of their own: killed, frozen, thawed and waited for."""

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

_running: set["Program"] = set()


class DeadlineMissed(AssertionError):
    """What a test waited for did not happen in time."""


def wait_until(
    condition: Callable[[], T | None], *, deadline: float, what: str, every: float = 0.02
) -> T:
    """Ask `condition` until its answer is true and return it.

    `deadline` and `every` are in seconds. Raises DeadlineMissed, naming `what`.
    """
    end = time.monotonic() + deadline
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > end:
            raise DeadlineMissed(f"waited {deadline:g} s in vain for: {what} (last: {answer!r})")
        time.sleep(every)


def tail(path: Path, lines: int = 40) -> str:
    """Return the last lines of a log file, or a word on why there are none."""
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return f"({path} was never written)"


class Program:
    """A command running in a process group of its own, its output in a file.

    Signals go to the whole group, so supervised children share the fate of their parent.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Start `command`; `environment` is added to ours, `log` is appended to."""
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
        _running.add(self)

    @property
    def pid(self) -> int:
        """The process id, which is also the id of its group."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """The exit code, negative for a signal, or None while it runs."""
        return self._process.poll()

    @property
    def running(self) -> bool:
        """Whether it has not ended yet (a frozen one has not)."""
        return self.exit_code is None

    def kill9(self) -> None:
        """Kill the whole group at once, without a chance to say goodbye."""
        self.close()

    def freeze(self) -> None:
        """Freeze it (SIGSTOP): alive, but silent, as in a long pause of the machine."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Thaw it (SIGCONT)."""
        self._signal(signal.SIGCONT)

    def terminate(self, *, deadline: float = 10) -> int:
        """Ask it to end (SIGTERM, to the leader alone, as a supervisor would) and wait."""
        if self.running:
            self._process.send_signal(signal.SIGTERM)
        return self.wait(deadline=deadline)

    def wait(self, *, deadline: float) -> int:
        """Wait for the end and return the exit code; past the deadline show the log's tail."""
        try:
            return self._process.wait(timeout=deadline)
        except subprocess.TimeoutExpired:
            raise DeadlineMissed(
                f"{self.command} still runs after {deadline:g} s; its log ends:\n{tail(self.log)}"
            ) from None

    def close(self) -> None:
        """End whatever is left of the group; safe to call twice."""
        if self in _running:
            _running.discard(self)
            self._signal(signal.SIGKILL)
            self._process.wait(timeout=10)

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.killpg(self.pid, number)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@atexit.register
def _end_all() -> None:
    for program in list(_running):
        program.close()
