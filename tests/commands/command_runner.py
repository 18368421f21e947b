"""Run `sensorwatch` as a process of its own, the way a person does, or in this one, quickly."""

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
    """How a command ended."""

    code: int
    out: str
    err: str


def sensorwatch(
    *args: str | Path, folder: Path | None = None, environ: Mapping[str, str] | None = None
) -> CommandResult:
    """Run a command in a folder (None: the project's own), free of outer SENSORWATCH__ settings."""
    inherited = {
        name: value for name, value in os.environ.items() if not name.startswith("SENSORWATCH__")
    }
    ended = subprocess.run(
        [sys.executable, "-m", "sensorwatch", *map(str, args)],
        cwd=folder or ROOT,
        env={**inherited, "PYTHONPATH": str(ROOT), **(environ or {})},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return CommandResult(ended.returncode, ended.stdout, ended.stderr)


def run_in_process(*args: str | Path, folder: Path | None = None) -> CommandResult:
    """Run a command like `sensorwatch` does, without the cost of starting Python."""
    out, err = io.StringIO(), io.StringIO()
    with (
        contextlib.chdir(folder or ROOT),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        code = run(build_app(), [str(arg) for arg in args], name="sensorwatch")
    return CommandResult(code, out.getvalue(), err.getvalue())
