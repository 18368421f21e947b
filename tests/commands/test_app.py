"""Tests of the help, the version and the table of commands."""

import importlib.util
import subprocess
import sys

import pytest

from sensorwatch.cli import COMMANDS, load_command
from tests.commands.command_runner import ROOT, sensorwatch

HEAVY_LIBRARIES = (
    *("confluent_kafka", "fastapi", "numba", "numpy", "pandas", "prometheus_client"),
    *("pyarrow", "scipy", "sklearn", "uvicorn"),
)
"""Libraries that take long to import, except pydantic, which typer imports anyway."""
# A script that runs every command and subcommand with `--help` and with an unknown option. After
# each run, the script prints the heavy libraries that have been imported so
# far. All runs share one process, because that is faster.
HELP_IMPORTS_SCRIPT = f"""
import contextlib, io, sys
from sensorwatch.__main__ import main
from sensorwatch.cli import COMMANDS, load_command

def call(*arguments):
    sys.argv = ["sensorwatch", *arguments]
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        code = main()
    print(*arguments, code, *sorted({set(HEAVY_LIBRARIES)!r} & set(sys.modules)))

for name in COMMANDS:
    inner_names = getattr(load_command(name), "commands", ())
    for path in [(name,), *((name, inner) for inner in inner_names)]:
        call(*path, "--help")
        call(*path, "--no-such-option")
"""


def test_help_and_usage_errors_of_every_command_import_no_heavy_library() -> None:
    result = subprocess.run(
        [sys.executable, "-c", HELP_IMPORTS_SCRIPT],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    lines = result.stdout.splitlines()
    assert len(lines) > 2 * len(COMMANDS)
    for line in lines:
        assert line.endswith((" --help 0", " --no-such-option 2")), line


def test_help_lists_every_command_without_importing_any() -> None:
    code = (
        "import sys\nfrom sensorwatch.__main__ import main\n"
        "sys.argv = ['sensorwatch', '--help']\ncode = main()\n"
        f"heavy = { ({*HEAVY_LIBRARIES, 'pydantic'})!r}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\nsys.exit(code)"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (result.returncode, result.stderr) == (0, "")
    for name, command in COMMANDS.items():
        assert name in result.stdout
        assert command.help.split()[0] in result.stdout


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_of_the_table_exists_and_has_a_help_text(name: str) -> None:
    module = COMMANDS[name].target.partition(":")[0]
    assert importlib.util.find_spec(module) is not None, f"{module} does not exist"

    assert load_command(name).help


def test_the_option_version_prints_the_version() -> None:
    result = sensorwatch("--version")

    assert result.code == 0
    assert result.out.startswith("sensorwatch ")


def test_the_command_line_without_a_command_prints_the_help() -> None:
    result = sensorwatch()

    assert result.code == 2
    assert "Usage: sensorwatch" in result.out + result.err
    assert "error" not in result.err


def test_the_error_for_a_mistyped_command_suggests_a_similar_command() -> None:
    result = sensorwatch("trian")

    assert (result.code, result.out) == (2, "")
    assert result.err == (
        "error: No such command 'trian'. Did you mean 'train'? (see `sensorwatch --help`)\n"
    )
