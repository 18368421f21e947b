"""Tests of the documents: links, line lengths, commands, and tables that repeat code."""

import re
from itertools import dropwhile

import pytest

from sensorwatch.common import errors
from sensorwatch.common.kafka.ledger_text import Cause
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.runtime.command_line import BROKEN_PIPE, INTERRUPTED
from tests.docs.documented_commands import problem_of
from tests.docs.markdown_pages import (
    GENERATED_PAGES,
    LINKED_PAGES,
    README,
    ROOT,
    USER_PAGES,
    anchors_of,
    inline_code_of,
    lines_of,
    links_of,
    prose_of,
)

MAX_README_LINES = 150
MAX_COLUMNS = 100
_INLINE_CODE = re.compile(r"`[^`]+`")
_FILE_PATH = re.compile(r"[\w.-]+(/[\w.-]+)*/[\w-]+\.(py|md|toml|yml|json)")


@pytest.mark.parametrize("page", LINKED_PAGES)
def test_every_relative_link_and_anchor_resolves(page: str) -> None:
    broken_links = []
    for line_number, target in links_of(page):
        path, _, anchor = target.partition("#")
        linked_path = (ROOT / page).parent / path if path else ROOT / page
        if not linked_path.exists():
            broken_links.append(f"{page}:{line_number}: no file {path}")
        elif anchor:
            linked_page = linked_path.resolve().relative_to(ROOT).as_posix()
            if anchor not in anchors_of(linked_page):
                broken_links.append(f"{page}:{line_number}: no heading #{anchor} in {linked_page}")
    assert not broken_links


def test_the_readme_has_at_most_150_lines() -> None:
    assert len(lines_of(README)) <= MAX_README_LINES


@pytest.mark.parametrize("page", [page for page in USER_PAGES if page not in GENERATED_PAGES])
def test_prose_is_wrapped(page: str) -> None:
    long_lines = [
        f"{page}:{line_number}: {len(line)} columns"
        for line_number, line in prose_of(page)
        if len(_INLINE_CODE.sub("", line)) > MAX_COLUMNS and not line.startswith("|")
        if "](" not in line
    ]
    assert not long_lines


@pytest.mark.parametrize("page", USER_PAGES)
def test_commands_and_files_within_the_prose_exist(page: str) -> None:
    problems = []
    for line_number, code in inline_code_of(page):
        if code.startswith(("sensorwatch ", "make ", "python -m ")):
            # A command such as "ledger show | verify" has several subcommands; check the first.
            problem = problem_of(code.partition(" | ")[0].partition(" \\|")[0])
        else:
            is_path = _FILE_PATH.fullmatch(code) is not None
            problem = "no such file" if is_path and not (ROOT / code).exists() else None
        if problem:
            problems.append(f"{page}:{line_number}: `{code}`: {problem}")
    assert not problems


def test_the_index_lists_every_page_of_docs() -> None:
    listed_pages = {target.partition("#")[0] for _, target in links_of("docs/README.md")}
    pages = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").glob("*.md")}
    assert pages - {"README.md"} <= listed_pages


def first_column(page: str, pattern: str, *, heading: str = "") -> set[str]:
    """Return the texts in the first column of the tables after a heading of a page.

    `pattern` matches such a text.
    """
    lines = dropwhile(lambda line: heading not in line, (line for _, line in prose_of(page)))
    matches = (re.match(rf"\| {pattern} \|", line) for line in lines)
    return {match[1] for match in matches if match}


def test_the_exit_codes_are_those_of_the_errors() -> None:
    classes = [errors.SensorwatchError]
    for error in classes:
        classes += error.__subclasses__()
    codes = {error.exit_code for error in classes} | {0, INTERRUPTED, BROKEN_PIPE}
    assert first_column("docs/exit-codes.md", r"(\d+)") == {str(code) for code in codes}


def test_the_reasons_and_the_causes_of_ledger_records_are_complete() -> None:
    reasons = first_column("docs/schema.md", r"`(\w+)`", heading="## Rejections")
    assert reasons == {reason.value for reason in Reason}
    assert {cause.value for cause in Cause} <= first_column("docs/events.md", r"`(\w+)`")
