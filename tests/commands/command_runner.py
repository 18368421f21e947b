"""Functions that run `sensorwatch` commands, in a new process or in this process."""

import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sensorwatch.cli import build_app
from sensorwatch.common.runtime.command_line import run

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """The exit code and output of a command."""

    code: int
    out: str
    err: str


def sensorwatch(
    *args: str | Path, folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> CommandResult:
    """Run a command in a new process, without the SENSORWATCH__ settings of this process.

    `folder`: the working folder of the process; None means the root folder of the project.
    """
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("SENSORWATCH__")
    }
    process = subprocess.run(
        [sys.executable, "-m", "sensorwatch", *map(str, args)],
        cwd=folder or ROOT,
        env={**environment, "PYTHONPATH": str(ROOT), **(environ or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return CommandResult(process.returncode, process.stdout, process.stderr)


def run_in_process(*args: str | Path, folder: Path | None = None) -> CommandResult:
    """Run a `sensorwatch` command in this process, which is faster than in a new process."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder or ROOT),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run(build_app(), [str(arg) for arg in args], name="sensorwatch")
    return CommandResult(code, out.getvalue(), err.getvalue())
