"""Runs a command; every failure ends in one line of text and its own exit code."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.main import get_command

from sensorwatch.common.errors import SensorwatchError
from sensorwatch.common.runtime.printing import print_note

INTERRUPTED = 130
BROKEN_PIPE = 141  # 128 + SIGPIPE, what a shell reports for any program in this place
INTERNAL_ERROR = 70

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        help="The configuration; without it sensorwatch.toml of the working folder, if any.",
        show_default=False,
    ),
]


def typer_app(**options: Any) -> typer.Typer:
    """Return an empty typer app: no completion commands, no decorated tracebacks."""
    return typer.Typer(add_completion=False, pretty_exceptions_enable=False, **options)


def run(
    command: typer.Typer | Callable[..., Any],
    args: Sequence[str] | None = None,
    *,
    name: str | None = None,
) -> int:
    """Run a typer app, or a function with typer's annotations, and return its exit code.

    `args`: arguments without the program's name; None: those of the process. `name`: the program's
    name in messages; None: its file name. See common/errors.py for the exit codes.
    """
    try:
        _invoke(command, sys.argv[1:] if args is None else args, name or Path(sys.argv[0]).name)
        sys.stdout.flush()
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # rich answers one with exit code 1
            return BROKEN_PIPE
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the outermost frame
        return _report(error)
    return 0


def _report(error: BaseException) -> int:
    """Print an error and return its exit code."""
    match error:
        case typer.Exit():
            return error.exit_code
        case typer.TyperException():
            return _report_usage_error(error)
        case SensorwatchError():
            _print_error(f"error: {_escaped(str(error))}")
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
    parsed = get_command(app)
    # `parsed.main` would handle broken pipes, interrupts and usage errors by itself.
    with parsed.make_context(name, list(args)) as context:
        parsed.invoke(context)


def _report_usage_error(error: typer.TyperException) -> int:
    context = getattr(error, "ctx", None)
    if type(error).__name__ == "NoArgsIsHelpError":
        _print_error(error.format_message())
        return error.exit_code
    hint = f" (see `{context.command_path} --help`)" if context is not None else ""
    _print_error(f"error: {error.format_message().rstrip('.')}{hint}")
    return error.exit_code


def _discard_stdout() -> int:
    # Python flushes standard output again at exit, so redirect it.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return BROKEN_PIPE


def _escaped(text: str) -> str:
    """Escape characters that a terminal would interpret; a message may quote a file."""
    return "".join(s if s.isprintable() or s == "\n" else ascii(s)[1:-1] for s in text)


def _print_error(text: str) -> None:
    try:
        print_note(text)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
