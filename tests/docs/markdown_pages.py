"""Read the documents of the repository: code blocks, links, headings and lines of prose."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = "README.md"
GENERATED_PAGES = frozenset({"docs/quality.md", "docs/performance-measured.md"})
"""Pages that are written by programs in `benchmarks`."""
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
    """Text of the HTML comment on the line before the block; empty if there is no comment."""
    text: str

    @property
    def name(self) -> str:
        """Page and line, as a name for the block in tests."""
        return f"{self.page}:{self.line}"

    @property
    def first_line(self) -> str:
        """First line of the code, without the comment at its end."""
        return self.text.splitlines()[0].partition("  #")[0].rstrip()


@cache
def lines_of(page: str) -> tuple[str, ...]:
    """Return the lines of a page."""
    return tuple((ROOT / page).read_text(encoding="utf-8").splitlines())


def blocks_of(page: str) -> Iterator[Block]:
    """Yield the fenced code blocks of a page."""
    fence_line: int | None = None
    lines = lines_of(page)
    for line_number, line in enumerate(lines, 1):
        if not line.startswith("```"):
            continue
        if fence_line is None:
            fence_line = line_number
            continue
        marker_match = _MARKER.fullmatch(lines[fence_line - 2]) if fence_line > 1 else None
        code = "\n".join(lines[fence_line : line_number - 1])
        marker = marker_match[1] if marker_match else ""
        yield Block(page, fence_line, lines[fence_line - 1][3:].strip(), marker, code)
        fence_line = None
    assert fence_line is None, f"{page}:{fence_line}: the block is not closed"


def all_blocks(*languages: str) -> list[Block]:
    """Return the code blocks of all user pages in `languages`; all blocks if none is given."""
    blocks = [block for page in USER_PAGES for block in blocks_of(page)]
    return [block for block in blocks if not languages or block.language in languages]


def prose_of(page: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each line outside code blocks."""
    is_code = False
    for line_number, line in enumerate(lines_of(page), 1):
        if line.startswith("```"):
            is_code = not is_code
        elif not is_code:
            yield line_number, line


def links_of(page: str) -> Iterator[tuple[int, str]]:
    """Yield line number and target of each relative link of a page."""
    for line_number, line in prose_of(page):
        for target in _LINK.findall(line):
            if not target.startswith(("http://", "https://")):
                yield line_number, target


def inline_code_of(page: str) -> Iterator[tuple[int, str]]:
    """Yield line number and text of each inline code in the prose of a page."""
    for line_number, line in prose_of(page):
        for code in _INLINE_CODE.findall(line):
            yield line_number, code


@cache
def anchors_of(page: str) -> frozenset[str]:
    """Return the anchors of a page's headings, as GitHub makes anchors."""
    headings = [line.lstrip("#").strip() for _, line in prose_of(page) if line.startswith("#")]
    return frozenset(_anchor(heading) for heading in headings)


def _anchor(heading: str) -> str:
    anchor = re.sub(r"[^\w\- ]", "", heading.lower())
    return anchor.replace(" ", "-")
