"""The audit log records every change and detects edits of itself."""

import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from sensorwatch.common.registry.audit import Action
from sensorwatch.common.registry.store import Registry
from tests.reading_builders import a_candidate
from tests.registry.forging import NAME, WHO, a_registry, folder_of


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return a_registry(tmp_path, versions=3)


@pytest.fixture
def log(registry: Registry, tmp_path: Path) -> Path:
    return tmp_path / "registry" / NAME / "audit.jsonl"


def test_every_change_has_a_line_with_who_when_and_why(tmp_path: Path) -> None:
    then = datetime(2026, 1, 2, tzinfo=UTC)
    registry = Registry(tmp_path, now=lambda: then)
    first = registry.register(NAME, a_candidate(), who="anna", why="new data")
    second = registry.register(NAME, a_candidate(), who="anna", why="newer data")
    third = registry.register(NAME, a_candidate(), who="anna", why="newest data")
    registry.attach_report(NAME, second, {"passed": True}, who="ci")
    registry.promote(NAME, second, who="ben", why="better")
    registry.rollback(NAME, who="cleo", why="worse")
    registry.prune(NAME, keep=0, who="dan", why="space")

    lines = registry.audit(NAME)

    assert [(line.action, line.version, line.who, line.why) for line in lines] == [
        (Action.REGISTER, first, "anna", "new data"),
        (Action.PROMOTE, first, "anna", "there was no champion"),
        (Action.REGISTER, second, "anna", "newer data"),
        (Action.REGISTER, third, "anna", "newest data"),
        (Action.EVALUATE, second, "ci", "evaluated"),
        (Action.PROMOTE, second, "ben", "better"),
        (Action.ROLLBACK, first, "cleo", "worse"),
        (Action.DELETE, third, "dan", "space"),
    ]
    assert {line.when for line in lines} == {then}
    assert [line.number for line in lines] == list(range(1, 9))
    assert registry.verify_audit(NAME) == []


def test_a_reason_of_many_lines_stays_one_line(registry: Registry) -> None:
    version = registry.version_ids(NAME)[1]

    registry.promote(NAME, version, who=WHO, why='one\ntwo"\\\u2028three', force="x\ny")

    assert registry.audit(NAME)[-1].why == 'one\ntwo"\\\u2028three'
    assert registry.verify_audit(NAME) == []


def _edit_why(lines: list[bytes]) -> list[bytes]:
    return [lines[0].replace(b'"why":"test"', b'"why":"tset"'), *lines[1:]]


def _edit_last(lines: list[bytes]) -> list[bytes]:
    return [*lines[:-1], lines[-1].replace(b'"why":"test"', b'"why":"tset"')]


def _drop_first(lines: list[bytes]) -> list[bytes]:
    return lines[1:]


def _drop_middle(lines: list[bytes]) -> list[bytes]:
    return [lines[0], *lines[2:]]


def _drop_last(lines: list[bytes]) -> list[bytes]:
    return lines[:-1]


def _drop_all(_lines: list[bytes]) -> list[bytes]:
    return []


def _swap(lines: list[bytes]) -> list[bytes]:
    return [lines[1], lines[0], *lines[2:]]


def _insert(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[0], *lines[1:]]


def _nonsense(lines: list[bytes]) -> list[bytes]:
    return [*lines[:1], b"nonsense\n", *lines[2:]]


@pytest.mark.parametrize(
    "tamper",
    [
        _edit_why,
        _edit_last,
        _drop_first,
        _drop_middle,
        _drop_last,
        _drop_all,
        _swap,
        _insert,
        _nonsense,
    ],
)
def test_tampering_is_found_and_still_found_after_the_next_change(
    registry: Registry, log: Path, tamper: Callable[[list[bytes]], list[bytes]]
) -> None:
    log.write_bytes(b"".join(tamper(log.read_bytes().splitlines(keepends=True))))

    assert registry.verify_audit(NAME) != []

    registry.register(NAME, a_candidate(), who=WHO, why="test")
    assert registry.verify_audit(NAME) != []


@pytest.mark.parametrize("torn", [b'{"number":5,"wh', b"x", b'{"number":5}'])
def test_a_torn_last_line_is_reported_then_cut_off_with_a_line_that_says_so(
    registry: Registry, log: Path, torn: bytes
) -> None:
    with log.open("ab") as file:
        file.write(torn)
    assert registry.verify_audit(NAME) == ["the last line is torn: the next change removes it"]

    registry.promote(NAME, registry.version_ids(NAME)[1], who=WHO, why="x", force="test")

    assert registry.verify_audit(NAME) == []
    repair, promote = registry.audit(NAME)[-2:]
    assert (repair.action, repair.detail["torn"]) == (Action.REPAIR, torn.decode())
    assert promote.action is Action.PROMOTE


def test_a_version_removed_by_hand_is_found_and_then_told(registry: Registry) -> None:
    _, second, _ = registry.version_ids(NAME)
    folder = registry.attach_report(NAME, second, {"passed": True}).parents[1]
    folder.rename(folder.parents[3] / "elsewhere")

    assert registry.verify_audit(NAME) == [f"{second} is missing"]
    registry.register(NAME, a_candidate(), who=WHO, why="test")

    assert registry.verify_audit(NAME) == []
    assert [line.action for line in registry.audit(NAME)[-2:]] == [Action.CORRECT, Action.REGISTER]


def test_a_version_copied_in_by_hand_is_found(registry: Registry, tmp_path: Path) -> None:
    first = registry.version_ids(NAME)[0]
    stray = folder_of(tmp_path, f"default-0009-{first[-8:]}")
    stray.mkdir()

    assert registry.verify_audit(NAME) == [f"{stray.name} has no entry"]


def test_an_alias_moved_by_hand_is_found_and_then_told(registry: Registry, tmp_path: Path) -> None:
    first, second, third = registry.version_ids(NAME)
    path = tmp_path / "registry" / NAME / "aliases.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"champion": second}))

    assert registry.verify_audit(NAME) == [f"champion is {second}, logged was {first}"]
    registry.attach_report(NAME, third, {"passed": True})

    assert registry.verify_audit(NAME) == []
    assert registry.audit(NAME)[-2].detail["champion"] == second


@pytest.mark.parametrize("text", ["", "{}", '{"number": 4, "sha256": "%s"}' % ("0" * 64)])
def test_a_file_beside_the_log_that_was_edited_is_found(
    registry: Registry, log: Path, text: str
) -> None:
    log.with_suffix(".head").write_text(text)

    assert registry.verify_audit(NAME) == ["audit.head does not match the end of the log"]
    registry.register(NAME, a_candidate(), who=WHO, why="test")


def test_a_deleted_version_restored_from_a_backup_is_told_of_and_stays(
    registry: Registry, tmp_path: Path
) -> None:
    third = registry.version_ids(NAME)[2]
    folder = folder_of(tmp_path, third)
    shutil.copytree(folder, tmp_path / "backup")
    registry.prune(NAME, keep=0, who=WHO, why="test")
    shutil.copytree(tmp_path / "backup", folder)
    assert registry.verify_audit(NAME) == [f"{third} has no entry"]

    registry.promote(NAME, third, who=WHO, why="needed after all", force="test")

    assert registry.load(NAME).manifest.id == third
    assert registry.verify_audit(NAME) == []
    assert registry.verify(NAME, third) == []
