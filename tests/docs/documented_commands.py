"""Find the commands in documents, and check that each command exists."""

import re
import shlex
from collections.abc import Iterator
from importlib.util import find_spec

from sensorwatch.cli import COMMANDS, load_command
from tests.docs.markdown_pages import ROOT

_HEREDOC = re.compile(r"<<(\w+)$")


def commands_of(script: str) -> Iterator[str]:
    """Yield the commands of a script, without the contents of here-documents."""
    heredoc_end: str | None = None
    for line in script.replace("\\\n", " ").splitlines():
        if heredoc_end is not None:
            heredoc_end = None if line == heredoc_end else heredoc_end
            continue
        heredoc = _HEREDOC.search(line)
        if heredoc:
            heredoc_end = heredoc[1]
        elif line.strip():
            yield line.strip()


def problem_of(command: str) -> str | None:
    """Return why a command cannot be run as written; None if the command can be run."""
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
    command, words = load_command(arguments[0]), arguments[1:]
    subcommands = getattr(command, "commands", None)
    if subcommands is not None and words and not words[0].startswith("-"):
        if words[0] not in subcommands:
            return f"no command {arguments[0]} {words[0]}"
        command, words = subcommands[words[0]], words[1:]
    visible_parameters = [
        parameter for parameter in command.params if not getattr(parameter, "hidden", False)
    ]
    options = {name for parameter in visible_parameters for name in parameter.opts} | {"--help"}
    unknown_options = [word for word in words if word.startswith("--") and word not in options]
    return f"no option {', '.join(unknown_options)}" if unknown_options else None
