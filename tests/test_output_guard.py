"""Only two modules write to the terminal; all others print through them, so texts are escaped."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PARTS = ("api", "common", "consumer", "producer", "sensorwatch", "trainer")
WRITERS = {"common/runtime/printing.py", "common/runtime/console.py"}
ALLOWED = {
    # Rows as a program reads them from a pipe; on a terminal they are escaped.
    "producer/produce_run.py": {"sys.stdout.buffer"},
    # A logging handler: its formatters escape.
    "common/runtime/logs.py": {"sys.stderr"},
}
PRINTERS = {"print", "typer.echo", "typer.secho", "click.echo", "click.secho", "rich.print"}
STREAMS = {"sys.stdout", "sys.stderr", "sys.stdout.buffer", "sys.stderr.buffer"}
HARMLESS_ON_STREAMS = {"isatty", "flush", "fileno"}
RICH_TEXTS = {"rich.console.Console", "rich.text.Text", "rich.print"}
CAPTIONS = {"title", "subtitle", "caption"}
"""rich reads markup in these, on any console, unless they are a Text."""


def sources() -> list[Path]:
    """Every source file once: the links in sensorwatch/ lead to the folders beside it."""
    files = (path for part in PARTS for path in (ROOT / part).rglob("*.py"))
    return sorted({path.resolve() for path in files})


def raw_output(text: str) -> set[str]:
    """Each way in which a source writes to the terminal past the modules that escape."""
    tree = ast.parse(text)
    return {*_printers(tree), *_streams(tree), *_rich_imports(tree), *_captions(tree)}


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _printers(tree: ast.AST) -> Iterator[str]:
    return (name for call in _calls(tree) if (name := ast.unparse(call.func)) in PRINTERS)


def _streams(tree: ast.AST) -> Iterator[str]:
    """Yield the standard streams that are used for more than a question about them."""
    asked = {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and node.attr in {*HARMLESS_ON_STREAMS, "buffer"}
    }
    for node in ast.walk(tree):
        is_asked = not isinstance(node, ast.Attribute) or id(node) in asked
        if not is_asked and (name := ast.unparse(node)) in STREAMS:
            yield name


def _rich_imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & (RICH_TEXTS | PRINTERS)


def _captions(tree: ast.AST) -> Iterator[str]:
    for call in _calls(tree):
        for keyword in call.keywords if ast.unparse(call.func) in {"Panel", "Table"} else ():
            value = keyword.value
            is_text = isinstance(value, ast.Call) and ast.unparse(value.func) == "styled"
            if keyword.arg in CAPTIONS and not (is_text or isinstance(value, ast.Constant)):
                yield f"{keyword.arg}={ast.unparse(value)}"


def test_every_source_prints_only_through_the_modules_that_escape() -> None:
    outputs = {
        str(path.relative_to(ROOT)): raw_output(path.read_text(encoding="utf-8"))
        for path in sources()
    }

    assert {
        name: raw
        for name, ways in outputs.items()
        if name not in WRITERS and (raw := ways - ALLOWED.get(name, set()))
    } == {}


@pytest.mark.parametrize(
    ("text", "ways"),
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
def test_a_raw_output_is_seen(text: str, ways: set[str]) -> None:
    assert raw_output(text) == ways
