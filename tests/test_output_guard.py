"""Only two modules write to the terminal; all other modules print through the two.

The two modules escape control characters in texts.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE_FOLDERS = ("api", "common", "consumer", "producer", "sensorwatch", "trainer")
MODULES_THAT_ESCAPE = {"common/runtime/printing.py", "common/runtime/console.py"}
ALLOWED_OUTPUTS = {
    # `produce` writes rows unchanged into a pipe, but escaped on a terminal.
    "producer/produce_run.py": {"sys.stdout.buffer"},
    # The formatters of the logging handler escape each log line.
    "common/runtime/logs.py": {"sys.stderr"},
}
PRINT_FUNCTIONS = {"print", "typer.echo", "typer.secho", "click.echo", "click.secho", "rich.print"}
STANDARD_STREAMS = {"sys.stdout", "sys.stderr", "sys.stdout.buffer", "sys.stderr.buffer"}
HARMLESS_STREAM_METHODS = {"isatty", "flush", "fileno"}
RAW_RICH_NAMES = {"rich.console.Console", "rich.text.Text", "rich.print"}
CAPTION_ARGUMENTS = {"title", "subtitle", "caption"}
"""Arguments of rich classes; rich interprets markup in their value unless the value is a Text."""


def sources() -> list[Path]:
    """Return every source file once, although symbolic links in sensorwatch/ lead to it as well."""
    files = (path for folder in SOURCE_FOLDERS for path in (ROOT / folder).rglob("*.py"))
    return sorted({path.resolve() for path in files})


def raw_output(text: str) -> set[str]:
    """Return the expressions of a source text that write to the terminal without escaping."""
    tree = ast.parse(text)
    return {
        *_print_calls(tree),
        *_raw_streams(tree),
        *_rich_imports(tree),
        *_unescaped_captions(tree),
    }


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _print_calls(tree: ast.AST) -> Iterator[str]:
    return (name for call in _calls(tree) if (name := ast.unparse(call.func)) in PRINT_FUNCTIONS)


def _raw_streams(tree: ast.AST) -> Iterator[str]:
    """Yield each use of a standard stream that is not just a call of a harmless method."""
    harmless_ids = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {*HARMLESS_STREAM_METHODS, "buffer"}
    }
    for node in ast.walk(tree):
        is_harmless = not isinstance(node, ast.Attribute) or id(node) in harmless_ids
        if not is_harmless and (name := ast.unparse(node)) in STANDARD_STREAMS:
            yield name


def _rich_imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & (RAW_RICH_NAMES | PRINT_FUNCTIONS)


def _unescaped_captions(tree: ast.AST) -> Iterator[str]:
    for call in _calls(tree):
        for keyword in call.keywords if ast.unparse(call.func) in {"Panel", "Table"} else ():
            value = keyword.value
            is_text = isinstance(value, ast.Call) and ast.unparse(value.func) == "styled"
            if keyword.arg in CAPTION_ARGUMENTS and not (
                is_text or isinstance(value, ast.Constant)
            ):
                yield f"{keyword.arg}={ast.unparse(value)}"


@pytest.mark.no_cover
def test_every_source_prints_only_through_the_modules_that_escape() -> None:
    outputs = {
        str(path.relative_to(ROOT)): raw_output(path.read_text(encoding="utf-8"))
        for path in sources()
    }

    assert {
        name: raw_expressions
        for name, expressions in outputs.items()
        if name not in MODULES_THAT_ESCAPE
        and (raw_expressions := expressions - ALLOWED_OUTPUTS.get(name, set()))
    } == {}


@pytest.mark.parametrize(
    ("text", "expressions"),
    [
        ("print(name)", {"print"}),
        ("def f():\n    print(f'{name}', file=other)", {"print"}),
        ("typer.echo(name)", {"typer.echo"}),
        ("from typer import echo", {"typer.echo"}),
        ("sys.stdout.write(name)", {"sys.stdout"}),
        ("sys.stderr.buffer.write(name)", {"sys.stderr.buffer"}),
        ("out = sys.stdout", {"sys.stdout"}),
        ("from rich.console import Console, Group", {"rich.console.Console"}),
        ("from rich.text import Text", {"rich.text.Text"}),
        ("Panel(body, title=name)", {"title=name"}),
        ("Table(caption=f'{name}')", {"caption=f'{name}'"}),
        ("Panel(body, title=styled(name), subtitle='fixed')", set()),
        ("print_line(name); sys.stdout.isatty(); sys.stdout.flush()", set()),
        ("screen.print(name)", set()),
    ],
)
def test_a_raw_output_is_found(text: str, expressions: set[str]) -> None:
    assert raw_output(text) == expressions
