"""Tests of the command line's help, version and table of commands."""

import importlib.util
import subprocess
import sys

import pytest

from sensorwatch.cli import COMMANDS, load_command
from tests.commands.command_runner import ROOT, sensorwatch

HEAVY = (
    *("confluent_kafka", "fastapi", "numba", "numpy", "pandas", "prometheus_client"),
    *("pyarrow", "scipy", "sklearn", "uvicorn"),
)
"""Libraries that take long to import. typer itself imports pydantic."""
# Calls `--help` and a mistyped option of every command and subcommand, and prints what they import.
# In one process, because a library that one call imports is missing from the list of none.
IMPORTS_OF_HELP = f"""
import contextlib, io, sys
from sensorwatch.__main__ import main
from sensorwatch.cli import COMMANDS, load_command

def call(*arguments):
    sys.argv = ["sensorwatch", *arguments]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = main()
    print(*arguments, code, *sorted({set(HEAVY)!r} & set(sys.modules)))

for name in COMMANDS:
    inner_names = getattr(load_command(name), "commands", ())
    for path in [(name,), *((name, inner) for inner in inner_names)]:
        call(*path, "--help")
        call(*path, "--no-such-option")
"""


def test_help_and_usage_errors_of_every_command_import_no_heavy_library() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", IMPORTS_OF_HELP],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    lines = ended.stdout.splitlines()
    assert len(lines) > 2 * len(COMMANDS)
    for line in lines:
        assert line.endswith((" --help 0", " --no-such-option 2")), line


def test_help_lists_every_command_without_importing_any() -> None:
    code = (
        "import sys\nfrom sensorwatch.__main__ import main\n"
        "sys.argv = ['sensorwatch', '--help']\ncode = main()\n"
        f"heavy = { ({*HEAVY, 'pydantic'})!r}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\nsys.exit(code)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    for name, entry in COMMANDS.items():
        assert name in ended.stdout
        assert entry.help.split()[0] in ended.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_of_the_table_exists_and_has_a_help_text(name: str) -> None:
    module = COMMANDS[name].target.partition(":")[0]
    assert importlib.util.find_spec(module) is not None, f"{module} does not exist"

    assert load_command(name).help


def test_the_version_is_printed() -> None:
    ended = sensorwatch("--version")

    assert ended.code == 0
    assert ended.out.startswith("sensorwatch ")


def test_without_a_command_the_help_is_shown() -> None:
    ended = sensorwatch()

    assert ended.code == 2
    assert "Usage: sensorwatch" in ended.out + ended.err
    assert "error" not in ended.err


def test_a_mistyped_command_is_an_error_that_suggests_the_nearest() -> None:
    ended = sensorwatch("trian")

    assert (ended.code, ended.out) == (2, "")
    assert ended.err == (
        "error: No such command 'trian'. Did you mean 'train'? (see `sensorwatch --help`)\n"
    )
