"""A service of the demonstration as a process of its own, its log in a file."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from sensorwatch.common.errors import CheckFailed

_HERE = Path(__file__).parents[2]
_STOP_SECONDS = 8.0
_SHOWN_LINES = 15

T = TypeVar("T")


class Child:
    """`python -m MODULE ...`, started at once; ended by its id whatever happens to us."""

    def __init__(self, name: str, command: Sequence[str], *, log: Path) -> None:
        self.name = name
        self._log = log
        # Our own configuration only: what the user has set is for the user's own broker.
        environment = {k: v for k, v in os.environ.items() if not k.startswith("SENSORWATCH__")}
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - this Python, our own modules
                [sys.executable, "-m", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**environment, "SENSORWATCH__LOG__FORMAT": "json"},
                cwd=_HERE,
                # Not in our group: a Ctrl-C is for us, and we stop it in order.
                start_new_session=True,
            )

    def logged(self, field: str) -> str | None:
        """Return the newest value of a field of its log's lines, or None."""
        for line in reversed(self._lines()):
            with suppress(ValueError):
                found = json.loads(line)
                if isinstance(found, dict) and field in found:
                    return str(found[field])
        return None

    def wait_for(
        self, ask: Callable[[], T | None], *, deadline: float, stopping: Callable[[], bool]
    ) -> T:
        """Ask until there is an answer and return it.

        Raises CheckFailed, showing the log, where it ends or `deadline` (seconds) passes before,
        KeyboardInterrupt where `stopping`.
        """
        end = time.monotonic() + deadline
        while (answer := ask()) is None:
            self.check()
            if stopping():
                raise KeyboardInterrupt
            if time.monotonic() > end:
                raise CheckFailed(f"the {self.name} was not ready in {deadline:g} s{self._tail()}")
            time.sleep(0.05)
        return answer

    def check(self) -> None:
        """Raise CheckFailed, showing the log, where it has ended."""
        code = self._process.poll()
        if code is not None:
            raise CheckFailed(f"the {self.name} ended with exit code {code}{self._tail()}")

    def stop(self) -> None:
        """Ask it to end, insist after some seconds; safe to call twice."""
        with suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def _tail(self) -> str:
        lines = self._lines()[-_SHOWN_LINES:]
        return "; its log ends:\n" + "\n".join(lines) if lines else " without a word"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
