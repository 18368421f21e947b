"""The commands that the documents show, and whether such a command exists."""

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec

from sensorwatch.cli import COMMANDS, load_command
from tests.docs.markdown_pages import ROOT

_HEREDOC = re.compile(r"<<(\w+)$")


def commands_of(script: str) -> Iterator[str]:
    """Yield the commands of a script, one a line: continuations joined, without here-documents."""
    end: str | None = None
    for line in script.replace("\\\n", " ").splitlines():
        if end is not None:
            end = None if line == end else end
            continue
        opened = _HEREDOC.search(line)
        if opened:
            end = opened[1]
        elif line.strip():
            yield line.strip()


def problem_of(command: str) -> str | None:
    """Say why a command cannot be run as it is written, or None."""
    words = shlex.split(command, comments=True)
    match words:
        case ["sensorwatch", *arguments]:
            return _problem_of_arguments(arguments)
        case ["make", verb, *_]:
            makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
            return None if re.search(rf"^{verb}:", makefile, re.MULTILINE) else f"no verb {verb}"
        case ["python", "-m", module, *_]:
            return None if find_spec(module) else f"no module {module}"
    return None


def _problem_of_arguments(arguments: list[str]) -> str | None:
    if not arguments or arguments[0] not in COMMANDS:
        return f"no command {arguments[:1]}"
    command, rest = load_command(arguments[0]), arguments[1:]
    subcommands = getattr(command, "commands", None)
    if subcommands is not None and rest and not rest[0].startswith("-"):
        if rest[0] not in subcommands:
            return f"no command {arguments[0]} {rest[0]}"
        command, rest = subcommands[rest[0]], rest[1:]
    shown = [parameter for parameter in command.params if not getattr(parameter, "hidden", False)]
    options = {name for parameter in shown for name in parameter.opts} | {"--help"}
    unknown = [word for word in rest if word.startswith("--") and word not in options]
    return f"no option {', '.join(unknown)}" if unknown else None
