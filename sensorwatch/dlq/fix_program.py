"""Runs a user's program that corrects the value of a dead letter."""

import os
import signal
import subprocess
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sensorwatch.common.errors import UsageError
from sensorwatch.common.escaping import escape
from sensorwatch.dlq.letters import DeadLetter, bytes_text

_KEPT_VARIABLES = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ")
"""Variables that the program gets from this process; the others may contain secrets."""
_MAX_ERROR_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class FixFailure:
    """Why the program did not correct a value."""

    text: str


class FixProgram:
    """A program that reads the value on standard input and writes the corrected value."""

    def __init__(self, path: Path, *, seconds: float) -> None:
        """Use the program at `path`, which may run for `seconds` for each dead letter.

        Raises UsageError if the file cannot be run.
        """
        self._path = path.resolve()
        self._seconds = seconds
        if not (self._path.is_file() and os.access(self._path, os.X_OK)):
            raise UsageError(
                f"--fix {path}: wanted a file that can be run. Check the path, and make the file "
                "executable with `chmod +x`"
            )

    @property
    def name(self) -> str:
        """The file name of the program."""
        return self._path.name

    def corrected(self, letter: DeadLetter) -> bytes | FixFailure:
        """Return the corrected value of a dead letter, or why there is none.

        There is none if the program fails, takes too long, or writes nothing.
        """
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own program, without arguments
                [self._path],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environment(letter),
                start_new_session=True,
            )
        except OSError as error:
            return FixFailure(f"it cannot be run: {error.strerror}")
        with process:
            try:
                output, errors = process.communicate(letter.value or b"", self._seconds)
            except subprocess.TimeoutExpired:
                return FixFailure(f"it ran longer than {self._seconds:g} s")
            finally:
                # The program may have started processes of its own, which belong to its group.
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
        if process.returncode != 0:
            text = bytes_text(errors).strip()[-_MAX_ERROR_CHARACTERS:]
            return FixFailure(f"exit code {process.returncode}: {escape(text)}")
        return output or FixFailure("it wrote no output")


def _environment(letter: DeadLetter) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
    return kept | {
        "DLQ_ID": escape(letter.id),
        "DLQ_KEY": escape(letter.sensor or ""),
        "DLQ_REASON": escape(letter.reason),
        "DLQ_MESSAGE": escape(letter.message),
        "DLQ_ROWS": escape(letter.rejected_rows),
        "DLQ_ATTEMPTS": str(letter.attempts),
    }
