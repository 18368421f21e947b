"""Words that readers of this project found unclear do not appear in its prose and names."""

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCE_FOLDERS = (
    "api",
    "benchmarks",
    "common",
    "consumer",
    "producer",
    "sensorwatch",
    "tests",
    "trainer",
)
GENERATED_PAGES = {"quality.md", "performance-measured.md"}
THIS_FILE = Path(__file__)

UNCLEAR_PHRASES = re.compile(
    r"\b(anew|whoever|whomever|nobody|somebody|likewise|seldom|sooner|whatever|told|tells?|"
    r"stands|stood|so many|for want of|goes on|went on|apart from|nothing that|is there no more|"
    r"no bit)\b",
    re.IGNORECASE,
)
"""Words and phrases for which a plainer equivalent exists."""
HELD_OUTSIDE_TERM = re.compile(r"(?<![`\"'.\w])held\b(?! (value|values|back|out))", re.IGNORECASE)
"""The word *held*, except in the glossary term *held value*, in *held back* and in *held out*."""
CODE_IN_PROSE = re.compile(r"`[^`]*`|\{[^}]*\}")
"""Code in prose and in f-strings; the unclear words are allowed in code."""
UNCLEAR_NAME_WORDS = {
    *("alone", "anew", "apart", "crew", "found", "habit", "looks", "plainly", "stands"),
    *("strangers", "tell", "tells", "told", "whole"),
}
"""An identifier is unclear if both its first and its last word are among these words."""


def python_files() -> list[Path]:
    files = (file for folder in SOURCE_FOLDERS for file in (ROOT / folder).rglob("*.py"))
    return sorted(file for file in files if file != THIS_FILE)


def documents() -> list[Path]:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.md")]
    return sorted(page for page in pages if page.name not in GENERATED_PAGES)


def relative_path(path: Path) -> str:
    return str(path.relative_to(ROOT))


def prose_of_python(text: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each line of comments and of strings with a space in them."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        is_sentence = token.type == tokenize.STRING and " " in token.string
        if token.type == tokenize.COMMENT or is_sentence:
            for offset, line in enumerate(token.string.splitlines()):
                yield token.start[0] + offset, line


def prose_of_markdown(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of each line outside fenced code blocks."""
    is_code = False
    for number, line in enumerate(text.splitlines(), start=1):
        if line.lstrip().startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, line


def unclear_lines(lines: Iterator[tuple[int, str]]) -> list[str]:
    return [
        f"line {number}: {match.group(0)!r} in {line.strip()!r}"
        for number, line in lines
        for pattern in (UNCLEAR_PHRASES, HELD_OUTSIDE_TERM)
        if (match := pattern.search(CODE_IN_PROSE.sub("", line)))
    ]


def defined_names(text: str) -> Iterator[tuple[int, str]]:
    """Yield line number and name of every function, class, parameter, field and variable."""
    for node in ast.walk(ast.parse(text)):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
                if not name.startswith("test_"):
                    yield node.lineno, name
            case ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()):
                yield node.lineno, name


def is_unclear_name(name: str) -> bool:
    words = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return bool(words) and {words[0].lower(), words[-1].lower()} <= UNCLEAR_NAME_WORDS


@pytest.mark.parametrize("file", python_files(), ids=relative_path)
def test_comments_and_messages_use_plain_words(file: Path) -> None:
    assert unclear_lines(prose_of_python(file.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("page", documents(), ids=relative_path)
def test_documents_use_plain_words(page: Path) -> None:
    assert unclear_lines(prose_of_markdown(page.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("file", python_files(), ids=relative_path)
def test_names_use_plain_words(file: Path) -> None:
    names = defined_names(file.read_text(encoding="utf-8"))

    assert [f"line {line}: {name}" for line, name in names if is_unclear_name(name)] == []


@pytest.mark.parametrize(
    "line", ["# the digest begins anew", "# as told by a test", "# what is held there"]
)
def test_an_unclear_word_is_found(line: str) -> None:
    assert unclear_lines(iter([(1, line)]))


def test_the_term_held_value_is_allowed() -> None:
    assert not unclear_lines(iter([(1, "# a held value stays, and so does `held`")]))


@pytest.mark.parametrize("name", ["found", "_told", "Whole", "tells_all_told"])
def test_an_unclear_name_is_found(name: str) -> None:
    assert is_unclear_name(name)
