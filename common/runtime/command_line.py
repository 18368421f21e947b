"""Runs a command, and turns every failure into a message and an exit code."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from sensorwatch.common.errors import SensorwatchError
from sensorwatch.common.kernel_hooks import before_first_compilation, take_action
from sensorwatch.common.runtime.printing import print_note

INTERRUPTED = 130
BROKEN_PIPE = 141  # 128 + SIGPIPE: a shell reports this code if SIGPIPE ended a program
INTERNAL_ERROR = 70

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="Configuration file; default: sensorwatch.toml in the working folder, if it exists.",
        show_default=False,
    ),
]


def typer_app(**options: Any) -> typer.Typer:
    """Return an empty typer app that has no completion commands and no decorated tracebacks."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, **options)


def run(
    command: typer.Typer | Callable[..., Any],
    args: Sequence[str] | None = None,
    *,
    name: str | None = None,
) -> int:
    """Run a typer app, or a function with typer's annotations, and return its exit code.

    `args`: arguments without the program's name; if None, the arguments of this process. `name`:
    the program's name in messages; if None, its file name. See common/errors.py for the exit codes.
    """
    before_first_compilation(_compile_ahead)
    try:
        _invoke(command, sys.argv[1:] if args is None else args, name or Path(sys.argv[0]).name)
        sys.stdout.flush()
    except SystemExit as system_exit:
        if isinstance(system_exit.__context__, BrokenPipeError):  # rich exits with code 1
            return BROKEN_PIPE
        code = system_exit.code
        return code if isinstance(code, int) else int(code is not None)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - reported below
        return _report(error)
    finally:
        take_action()
    return 0


def _compile_ahead() -> None:
    # Imported here, because the imported module loads numba, which takes a second.
    from sensorwatch.common.runtime.kernel_progress import compile_ahead

    compile_ahead()


def _report(error: BaseException) -> int:
    """Print an error and return its exit code."""
    match error:
        case typer.Exit():
            return error.exit_code
        case typer.TyperException():
            return _report_usage_error(error)
        case SensorwatchError():
            _print_error(f"error: {error}")
            return error.exit_code
        case KeyboardInterrupt() | typer.Abort():
            return INTERRUPTED
        case BrokenPipeError():
            return _discard_stdout()
    _print_error("".join(traceback.format_exception(error)).rstrip())
    _print_error("error: this should not happen; please report it with the lines above")
    return INTERNAL_ERROR


def _invoke(command: typer.Typer | Callable[..., Any], args: Sequence[str], name: str) -> None:
    if isinstance(command, typer.Typer):
        app = command
    else:
        app = typer_app()
        app.command()(command)
    parsed_command = get_command(app)
    # `parsed_command.main` is not used, because it handles interrupts and usage errors itself.
    with parsed_command.make_context(name, list(args)) as context:
        parsed_command.invoke(context)


def _report_usage_error(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        _print_error(error.format_message())
        return error.exit_code
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    _print_error(f"error: {error.format_message().rstrip('.')}{hint}")
    return error.exit_code


def _discard_stdout() -> int:
    # Standard output is redirected, because Python flushes it again at exit, which would fail.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def _print_error(text: str) -> None:
    try:
        print_note(text)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
