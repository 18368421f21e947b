"""How commands end: one plain line, the right code."""

import subprocess
import sys

import pytest
import typer

from sensorwatch.common.errors import (
    BrokerUnavailable,
    CheckFailed,
    Fenced,
    SensorwatchError,
    SettingsError,
)
from sensorwatch.common.runtime.command_line import run


@pytest.mark.parametrize(
    ("error", "code"), [(SettingsError, 2), (CheckFailed, 1), (BrokerUnavailable, 3), (Fenced, 4)]
)
def test_our_errors_end_in_one_line_and_their_own_code(
    error: type[SensorwatchError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        """Fail."""
        raise error("found [red]a[/red], wanted b")

    assert run(command, []) == code
    assert capsys.readouterr() == ("", "error: found [red]a[/red], wanted b\n")


def test_what_nobody_foresaw_shows_its_traceback_and_ends_in_70(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> None:
        """Fail."""
        raise ZeroDivisionError("surprise")

    assert run(command, []) == 70
    said = capsys.readouterr().err
    assert "Traceback" in said
    assert "ZeroDivisionError: surprise" in said


def test_an_interrupt_ends_in_130_without_a_word(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        """Wait."""
        raise KeyboardInterrupt

    assert run(command, []) == 130
    assert capsys.readouterr() == ("", "")


def test_a_command_may_choose_its_code_and_success_is_0() -> None:
    def command(code: int = 0) -> None:
        """End."""
        if code:
            raise typer.Exit(code)

    assert run(command, []) == 0
    assert run(command, ["--code", "9"]) == 9


def test_a_wrong_option_is_a_usage_error_that_points_to_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command(rows: int = 0) -> None:
        """Count."""

    assert run(command, ["--row", "1"], name="count") == 2
    assert run(command, ["--rows", "x"], name="count") == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("error: No such option: --row")
    assert first.endswith("(see `count --help`)")
    assert second.startswith("error: Invalid value for '--rows'")


@pytest.mark.parametrize("how", ["print('x' * 100, flush=True)", "typer.echo('x' * 100)"])
def test_a_reader_that_left_ends_the_command_quietly(how: str) -> None:
    code = (
        "import sys, typer\nfrom sensorwatch.common.runtime.command_line import run\n"
        f"def command():\n    '''Talk.'''\n    for _ in range(10000):\n        {how}\n"
        "sys.exit(run(command, []))"
    )
    talker = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert talker.stdout is not None
    assert talker.stderr is not None
    talker.stdout.readline()
    talker.stdout.close()

    said = talker.stderr.read()
    talker.stderr.close()
    assert (talker.wait(timeout=30), said) == (141, b"")
