"""A command that fails prints one line and ends with the exit code of its error."""

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
from sensorwatch.common.kernel_hooks import before_first_compilation, take_action
from sensorwatch.common.runtime.command_line import run


@pytest.mark.parametrize(
    ("error", "code"), [(SettingsError, 2), (CheckFailed, 1), (BrokerUnavailable, 3), (Fenced, 4)]
)
def test_a_sensorwatch_error_is_one_line_and_ends_with_its_own_code(
    error: type[SensorwatchError], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def command() -> None:
        """Fail."""
        raise error("found [red]a[/red], wanted b")

    assert run(command, []) == code
    assert capsys.readouterr() == ("", "error: found [red]a[/red], wanted b\n")


def test_an_unexpected_error_shows_its_traceback_and_ends_with_code_70(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command() -> None:
        """Fail."""
        raise ZeroDivisionError("surprise")

    assert run(command, []) == 70
    error_output = capsys.readouterr().err
    assert "Traceback" in error_output
    assert "ZeroDivisionError: surprise" in error_output


def test_an_interrupt_ends_with_code_130_without_output(capsys: pytest.CaptureFixture[str]) -> None:
    def command() -> None:
        """Wait."""
        raise KeyboardInterrupt

    assert run(command, []) == 130
    assert capsys.readouterr() == ("", "")


def test_a_command_may_choose_its_code_and_success_has_code_0() -> None:
    def command(code: int = 0) -> None:
        """End."""
        if code:
            raise typer.Exit(code)

    assert run(command, []) == 0
    assert run(command, ["--code", "9"]) == 9


def test_no_action_on_compilation_is_left_after_a_command() -> None:
    actions_during_command = []

    def command() -> None:
        action = take_action()
        assert action is not None
        before_first_compilation(action)
        actions_during_command.append(action)

    run(command, [])

    assert len(actions_during_command) == 1
    assert take_action() is None


def test_the_error_for_a_wrong_option_points_to_the_help(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def command(rows: int = 0) -> None:
        """Count."""

    assert run(command, ["--row", "1"], name="count") == 2
    assert run(command, ["--rows", "x"], name="count") == 2
    unknown_option_line, wrong_value_line = capsys.readouterr().err.splitlines()
    assert unknown_option_line.startswith("error: No such option: --row")
    assert unknown_option_line.endswith("(see `count --help`)")
    assert wrong_value_line.startswith("error: Invalid value for '--rows'")


@pytest.mark.parametrize("statement", ["print('x' * 100, flush=True)", "typer.echo('x' * 100)"])
def test_a_closed_output_pipe_ends_the_command_without_an_error_message(statement: str) -> None:
    code = (
        "import sys, typer\nfrom sensorwatch.common.runtime.command_line import run\n"
        f"def command():\n    '''Talk.'''\n    for _ in range(10000):\n        {statement}\n"
        "sys.exit(run(command, []))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()

    error_output = process.stderr.read()
    process.stderr.close()
    assert (process.wait(timeout=30), error_output) == (141, b"")
