"""The audit log records every change, and edits of the log are detected."""

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
def log_path(registry: Registry, tmp_path: Path) -> Path:
    return tmp_path / "registry" / NAME / "audit.jsonl"


def test_every_change_has_an_entry_with_who_when_and_why(tmp_path: Path) -> None:
    fixed_time = datetime(2026, 1, 2, tzinfo=UTC)
    registry = Registry(tmp_path, now=lambda: fixed_time)
    first_version = registry.register(NAME, a_candidate(), who="anna", why="new data")
    second_version = registry.register(NAME, a_candidate(), who="anna", why="newer data")
    third_version = registry.register(NAME, a_candidate(), who="anna", why="newest data")
    registry.attach_report(NAME, second_version, {"passed": True}, who="ci")
    registry.promote(NAME, second_version, who="ben", why="better")
    registry.rollback(NAME, who="cleo", why="worse")
    registry.prune(NAME, keep=0, who="dan", why="space")

    entries = registry.audit(NAME)

    assert [(entry.action, entry.version, entry.who, entry.why) for entry in entries] == [
        (Action.REGISTER, first_version, "anna", "new data"),
        (Action.PROMOTE, first_version, "anna", "there was no champion"),
        (Action.REGISTER, second_version, "anna", "newer data"),
        (Action.REGISTER, third_version, "anna", "newest data"),
        (Action.EVALUATE, second_version, "ci", "evaluated"),
        (Action.PROMOTE, second_version, "ben", "better"),
        (Action.ROLLBACK, first_version, "cleo", "worse"),
        (Action.DELETE, third_version, "dan", "space"),
    ]
    assert {entry.when for entry in entries} == {fixed_time}
    assert [entry.number for entry in entries] == list(range(1, 9))
    assert registry.verify_audit(NAME) == []


def test_a_reason_of_many_lines_is_one_line_of_the_log(registry: Registry) -> None:
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


def _swap_first_two(lines: list[bytes]) -> list[bytes]:
    return [lines[1], lines[0], *lines[2:]]


def _repeat_first(lines: list[bytes]) -> list[bytes]:
    return [lines[0], lines[0], *lines[1:]]


def _replace_second(lines: list[bytes]) -> list[bytes]:
    return [*lines[:1], b"nonsense\n", *lines[2:]]


@pytest.mark.parametrize(
    "change_lines",
    [
        _edit_why,
        _edit_last,
        _drop_first,
        _drop_middle,
        _drop_last,
        _drop_all,
        _swap_first_two,
        _repeat_first,
        _replace_second,
    ],
)
def test_tampering_is_found_before_and_after_the_next_change(
    registry: Registry, log_path: Path, change_lines: Callable[[list[bytes]], list[bytes]]
) -> None:
    log_path.write_bytes(b"".join(change_lines(log_path.read_bytes().splitlines(keepends=True))))

    assert registry.verify_audit(NAME) != []

    registry.register(NAME, a_candidate(), who=WHO, why="test")
    assert registry.verify_audit(NAME) != []


@pytest.mark.parametrize("torn_line", [b'{"number":5,"wh', b"x", b'{"number":5}'])
def test_a_torn_last_line_is_reported_and_the_next_change_repairs_it(
    registry: Registry, log_path: Path, torn_line: bytes
) -> None:
    with log_path.open("ab") as file:
        file.write(torn_line)
    assert registry.verify_audit(NAME) == ["the last line is torn: the next change removes it"]

    registry.promote(NAME, registry.version_ids(NAME)[1], who=WHO, why="x", force="test")

    assert registry.verify_audit(NAME) == []
    repair, promote = registry.audit(NAME)[-2:]
    assert (repair.action, repair.detail["torn"]) == (Action.REPAIR, torn_line.decode())
    assert promote.action is Action.PROMOTE


def test_a_version_removed_by_hand_is_found_and_then_logged(registry: Registry) -> None:
    _, second_version, _ = registry.version_ids(NAME)
    folder = registry.attach_report(NAME, second_version, {"passed": True}).parents[1]
    folder.rename(folder.parents[3] / "elsewhere")

    assert registry.verify_audit(NAME) == [f"{second_version} is missing"]
    registry.register(NAME, a_candidate(), who=WHO, why="test")

    assert registry.verify_audit(NAME) == []
    assert [line.action for line in registry.audit(NAME)[-2:]] == [Action.CORRECT, Action.REGISTER]


def test_a_version_copied_in_by_hand_is_found(registry: Registry, tmp_path: Path) -> None:
    first_version = registry.version_ids(NAME)[0]
    copied_folder = folder_of(tmp_path, f"default-0009-{first_version[-8:]}")
    copied_folder.mkdir()

    assert registry.verify_audit(NAME) == [f"{copied_folder.name} has no entry"]


def test_an_alias_moved_by_hand_is_found_and_then_logged(
    registry: Registry, tmp_path: Path
) -> None:
    first_version, second_version, third_version = registry.version_ids(NAME)
    path = tmp_path / "registry" / NAME / "aliases.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | {"champion": second_version}))

    assert registry.verify_audit(NAME) == [
        f"champion is {second_version}, but the log records {first_version}"
    ]
    registry.attach_report(NAME, third_version, {"passed": True})

    assert registry.verify_audit(NAME) == []
    assert registry.audit(NAME)[-2].detail["champion"] == second_version


@pytest.mark.parametrize("text", ["", "{}", '{"number": 4, "sha256": "%s"}' % ("0" * 64)])
def test_an_edit_of_the_file_audit_head_is_found(
    registry: Registry, log_path: Path, text: str
) -> None:
    log_path.with_suffix(".head").write_text(text)

    assert registry.verify_audit(NAME) == ["audit.head does not match the end of the log"]
    registry.register(NAME, a_candidate(), who=WHO, why="test")


def test_a_deleted_version_restored_from_a_backup_is_found_and_can_be_promoted(
    registry: Registry, tmp_path: Path
) -> None:
    third_version = registry.version_ids(NAME)[2]
    folder = folder_of(tmp_path, third_version)
    shutil.copytree(folder, tmp_path / "backup")
    registry.prune(NAME, keep=0, who=WHO, why="test")
    shutil.copytree(tmp_path / "backup", folder)
    assert registry.verify_audit(NAME) == [f"{third_version} has no entry"]

    registry.promote(NAME, third_version, who=WHO, why="needed after all", force="test")

    assert registry.load(NAME).manifest.id == third_version
    assert registry.verify_audit(NAME) == []
    assert registry.verify(NAME, third_version) == []
