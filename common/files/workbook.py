"""Reads the first worksheet of an Excel workbook as lines of CSV; it needs python-calamine."""

import io
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import IO, NamedTuple

from sensorwatch.common.errors import DataError
from sensorwatch.common.files.utf8_stream import prefixed_stream
from sensorwatch.common.rows.csv_format import CsvFormat

_PROGRAM = Path(__file__).with_name("worksheet_program.py")
_MAX_FIRST_LINE_BYTES = 1 << 20
_SHOWN_ERROR_CHARACTERS = 300
_MEMORY_ERRORS = ("MemoryError", "memory allocation", "capacity overflow")


class Worksheet(NamedTuple):
    """The first visible worksheet of a workbook."""

    name: str
    other_names: tuple[str, ...]
    """The names of the other sheets, which are not read."""
    stream: io.BufferedReader
    """The rows as lines of CSV in UTF-8; see `worksheet_program.py` for the texts of the cells."""


@contextmanager
def open_worksheet(
    path: Path, csv_format: CsvFormat, *, timestamps: Sequence[str] = ()
) -> Iterator[Worksheet]:
    """Open the first visible worksheet; its cells are written with a delimiter and a decimal sign.

    The number of a line is the number of its row in the sheet. `timestamps`: headers of columns
    whose dates are always written with a time of day. Another process reads the
    workbook, with a limit for its memory; see `worksheet_program.py`. Raises DataError, also while
    the stream is read, if python-calamine is not installed, or if the workbook cannot be read.
    """
    if find_spec("python_calamine") is None:
        raise DataError(
            f"{path} is an Excel workbook: reading it needs the package python-calamine, which is "
            'not installed; install it with `pip install ".[excel]"` in the folder of this '
            "project, or save the sheet as CSV (in Excel: Save As, CSV UTF-8)"
        )
    form = {
        "delimiter": csv_format.delimiter,
        "decimal": csv_format.decimal,
        "timestamps": list(timestamps),
    }
    with (
        tempfile.TemporaryFile() as errors,
        subprocess.Popen(  # noqa: S603 - this Python, our own program
            [sys.executable, "-P", str(_PROGRAM), str(path.absolute()), json.dumps(form)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | {"RUST_BACKTRACE": "0"},
        ) as process,
    ):
        try:
            stream = prefixed_stream(b"", io.BufferedReader(_ProgramOutput(process, path, errors)))
            first_line = json.loads(stream.readline(_MAX_FIRST_LINE_BYTES))
            yield Worksheet(first_line["name"], tuple(first_line["other_names"]), stream)
        finally:
            process.kill()


class _ProgramOutput(io.RawIOBase):
    """The standard output of the program; reading its end raises an error if the program failed."""

    def __init__(self, process: subprocess.Popen[bytes], path: Path, errors: IO[bytes]) -> None:
        assert process.stdout is not None
        self._output = process.stdout
        self._process = process
        self._path = path
        self._errors = errors

    def readable(self) -> bool:
        return True

    # `collections.abc.Buffer`, the type of any buffer, exists only from Python 3.12 on.
    def readinto(self, buffer: "bytearray | memoryview") -> int:  # type: ignore[override]
        block_length: int = self._output.readinto(buffer)  # type: ignore[attr-defined]
        if block_length == 0 and self._process.wait() != 0:
            raise DataError(f"{self._path} {self._failure()}")
        return block_length

    def _failure(self) -> str:
        self._errors.seek(0)
        text = self._errors.read().decode(errors="replace")
        if any(error in text for error in _MEMORY_ERRORS):
            return (
                "is an Excel workbook that needs more than 2 GiB of memory: save the sheet as CSV "
                "(in Excel: Save As, CSV UTF-8)"
            )
        lines = text.splitlines()
        reason = lines[-1][:_SHOWN_ERROR_CHARACTERS] if lines else "its reader was stopped"
        return f"cannot be read as an Excel workbook: {reason}"
