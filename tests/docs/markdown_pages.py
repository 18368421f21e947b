"""The documents of the repository, with their code blocks, links, headings and prose lines."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = "README.md"
GENERATED = frozenset({"docs/quality.md", "docs/performance-measured.md"})
"""Pages that programs in `benchmarks` write."""
_DOCS = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md"))
USER_PAGES = (README, "CHANGELOG.md", *_DOCS)
LINKED_PAGES = (*USER_PAGES, "DESIGN.md", "CONTRIBUTING.md")
_MARKER = re.compile(r"<!-- (.+) -->")
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_INLINE_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code."""

    page: str
    line: int
    """Line number of the opening fence, from 1."""
    language: str
    marker: str
    """Text of the HTML comment on the line before; empty without one."""
    text: str

    @property
    def name(self) -> str:
        """Page and line, to name the block in a test."""
        return f"{self.page}:{self.line}"

    @property
    def first_line(self) -> str:
        """The first line of the code, without its comment."""
        return self.text.splitlines()[0].partition("  #")[0].rstrip()


@cache
def lines_of(page: str) -> tuple[str, ...]:
    """Return the lines of a page."""
    return tuple((ROOT / page).read_text(encoding="utf-8").splitlines())


def blocks_of(page: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    fence_line: int | None = None
    lines = lines_of(page)
    for number, line in enumerate(lines, 1):
        if not line.startswith("```"):
            continue
        if fence_line is None:
            fence_line = number
            continue
        marker_match = _MARKER.fullmatch(lines[fence_line - 2]) if fence_line > 1 else None
        code = "\n".join(lines[fence_line : number - 1])
        marker = marker_match[1] if marker_match else ""
        yield Block(page, fence_line, lines[fence_line - 1][3:].strip(), marker, code)
        fence_line = None
    assert fence_line is None, f"{page}:{fence_line}: the block is not closed"


def all_blocks(*languages: str) -> list[Block]:
    """Return the blocks of the user pages in these languages; without any, in every language."""
    blocks = [block for page in USER_PAGES for block in blocks_of(page)]
    return [block for block in blocks if not languages or block.language in languages]


def prose_of(page: str) -> Iterator[tuple[int, str]]:
    """Yield the lines outside code blocks with their numbers."""
    is_code = False
    for number, line in enumerate(lines_of(page), 1):
        if line.startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield number, line


def links_of(page: str) -> Iterator[tuple[int, str]]:
    """Yield the relative links of a page with their line numbers."""
    for number, line in prose_of(page):
        for target in _LINK.findall(line):
            if not target.startswith(("http://", "https://")):
                yield number, target


def inline_code_of(page: str) -> Iterator[tuple[int, str]]:
    """Yield the code within the prose of a page with its line numbers."""
    for number, line in prose_of(page):
        for code in _INLINE_CODE.findall(line):
            yield number, code


@cache
def anchors_of(page: str) -> frozenset[str]:
    """Return the anchors that a host makes from the headings of a page."""
    headings = [line.lstrip("#").strip() for _, line in prose_of(page) if line.startswith("#")]
    return frozenset(_anchor(heading) for heading in headings)


def _anchor(heading: str) -> str:
    anchor = re.sub(r"[^\w\- ]", "", heading.lower())
    return anchor.replace(" ", "-")
