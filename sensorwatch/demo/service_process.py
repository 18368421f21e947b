"""A child process of the demo, whose output is written to a log file."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sensorwatch.common.errors import CheckFailed

START_SECONDS = 120.0
_STOP_SECONDS = 8.0
_POLL_SECONDS = 0.05
_LOG_LINES = 15
_PROJECT_FOLDER = Path(__file__).parents[2]

T = TypeVar("T")


class ServiceProcess:
    """A child process that is stopped at the end of a `with` block."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Start the process. `environment`: variables in addition to those of this process."""
        self.name = name
        self._log = log
        # Settings in environment variables are for the user's own broker, so the demo must ignore
        # them.
        user_environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("SENSORWATCH__")
        }
        with log.open("wb") as log_output:
            self._process = subprocess.Popen(  # noqa: S603 - a module of this project or an installed program
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=log_output,
                stderr=subprocess.STDOUT,
                env={**user_environment, "SENSORWATCH__LOG__FORMAT": "json", **(environment or {})},
                cwd=_PROJECT_FOLDER,
                # A child in its own session does not receive Ctrl-C; the demo stops its children in
                # the right order.
                start_new_session=True,
            )

    def logged_value(self, field: str) -> str | None:
        """Return a field's value in the newest log line that has the field, or None."""
        for line in reversed(self._log_lines()):
            with suppress(ValueError):
                entry = json.loads(line)
                if isinstance(entry, dict) and field in entry:
                    return str(entry[field])
        return None

    def wait_for(self, probe: Callable[[], T | None], *, stopping: Callable[[], bool]) -> T:
        """Call `probe` until it returns a value, and return the value.

        Raises CheckFailed with the end of the log if the process ends, or after START_SECONDS.
        Raises KeyboardInterrupt if `stopping` returns True.
        """
        deadline = time.monotonic() + START_SECONDS
        while (result := probe()) is None:
            self.check()
            if stopping():
                raise KeyboardInterrupt
            if time.monotonic() > deadline:
                raise CheckFailed(
                    f"the {self.name} was not ready in {START_SECONDS:g} s{self._log_end()}"
                )
            time.sleep(_POLL_SECONDS)
        return result

    def check(self) -> None:
        """Raise CheckFailed with the end of the log if the process has ended."""
        exit_code = self._process.poll()
        if exit_code is not None:
            raise CheckFailed(f"the {self.name} ended with exit code {exit_code}{self._log_end()}")

    def stop(self) -> None:
        """Terminate the process, and kill it if it does not end in time.

        A second call does nothing.
        """
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _log_lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def _log_end(self) -> str:
        lines = self._log_lines()[-_LOG_LINES:]
        return "; its log ends with:\n" + "\n".join(lines) if lines else "; its log is empty"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
