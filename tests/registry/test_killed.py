"""A change that is killed anywhere leaves a registry that loads, and that the next change heals."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sensorwatch.common.registry.audit import Action
from sensorwatch.common.registry.store import Registry
from tests.reading_builders import a_candidate
from tests.registry.forging import NAME, WHO, a_registry

# Everything that changes a folder, as Python announces it before it is done.
FILE_OPERATIONS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}
)

WRITING = ("xb", "ab", "wb")

# Python 3.12 and later warn about threads at a fork; the child here only runs our own code.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


def _register(registry: Registry) -> None:
    registry.register(NAME, a_candidate(seed=9), who=WHO, why="killed")


def _promote(registry: Registry) -> None:
    registry.promote(NAME, registry.version_ids(NAME)[1], who=WHO, why="killed", force="test")


def _attach_report(registry: Registry) -> None:
    registry.attach_report(NAME, "champion", {"passed": True})


def _prune(registry: Registry) -> None:
    registry.prune(NAME, keep=0, who=WHO, why="killed")


@pytest.mark.slow
@pytest.mark.parametrize("change", [_register, _promote, _attach_report, _prune])
def test_a_change_killed_before_any_of_its_deeds_leaves_a_sound_registry(
    tmp_path: Path, change: Callable[[Registry], None]
) -> None:
    a_candidate(seed=9)  # trained once, here, instead of in every child
    for file_operations in range(1, 200):
        root = tmp_path / str(file_operations)
        registry = a_registry(root, versions=3)
        before = registry.aliases(NAME)["champion"]
        killed = _killed_before(lambda: change(registry), root, file_operations)  # noqa: B023 - run at once

        _check_loads(registry, before)
        _check_recovers(registry, root)
        if not killed:
            break
    assert not killed
    assert file_operations > 5


@pytest.mark.slow
def test_a_first_registration_killed_anywhere_leaves_room_for_the_next(tmp_path: Path) -> None:
    a_candidate(seed=9)
    for file_operations in range(1, 200):
        registry = Registry(tmp_path / str(file_operations) / "registry")
        killed = _killed_before(lambda: _register(registry), tmp_path, file_operations)  # noqa: B023 - same

        version = registry.register(NAME, a_candidate(), who=WHO, why="next")

        assert version in registry.version_ids(NAME)
        assert registry.load(NAME).manifest.id in registry.version_ids(NAME)
        assert registry.verify_audit(NAME) == []
        if not killed:
            break
    assert not killed
    assert file_operations > 5


def _check_loads(registry: Registry, before: str) -> None:
    """What a kill left can be read as it is, without anybody repairing it."""
    ids = registry.version_ids(NAME)
    champion = registry.load(NAME).manifest.id
    assert champion in {before, *ids[1:2]}
    assert all(registry.verify(NAME, version) == [] for version in ids)


def _check_recovers(registry: Registry, root: Path) -> None:
    """The next change brings log and folder in line, and pruning removes what was left."""
    numbers = [version[:13] for version in registry.version_ids(NAME)]
    version = registry.register(NAME, a_candidate(), who=WHO, why="next")
    assert version[:13] not in numbers
    assert registry.verify_audit(NAME) == []
    registry.prune(NAME, keep=9, who=WHO, why="sweep")
    assert list((root / "registry" / NAME / "staging").iterdir()) == []
    files = {path.name for path in (root / "registry" / NAME).iterdir() if path.is_file()}
    assert files <= {"aliases.json", "audit.jsonl", "audit.head", "lock"}


def _killed_before(change: Callable[[], Any], root: Path, file_operations: int) -> bool:
    """Make a change in a child that gets SIGKILL before its n-th deed; False: it made fewer."""
    child = os.fork()
    if child == 0:
        _kill_before(root, file_operations)
        try:
            change()
        except BaseException:  # noqa: BLE001 - the child must not run on into pytest
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(status) == 0
    return False


def _kill_before(root: Path, file_operations: int) -> None:
    left, inside = file_operations, str(root)

    def count(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal left
        if event not in FILE_OPERATIONS:
            return
        if event == "open" and not (
            arguments[1] in WRITING and str(arguments[0]).startswith(inside)
        ):
            return
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count)


def test_a_version_left_by_a_kill_between_line_and_deed_is_told_of(tmp_path: Path) -> None:
    """The one state that the loop above can only reach by luck, built by hand."""
    registry = a_registry(tmp_path, versions=2)
    first, second = registry.version_ids(NAME)
    log = tmp_path / "registry" / NAME / "audit.jsonl"
    kept = log.read_bytes(), log.with_suffix(".head").read_bytes()
    aliases = (tmp_path / "registry" / NAME / "aliases.json").read_bytes()
    registry.promote(NAME, second, who=WHO, why="killed", force="test")
    (tmp_path / "registry" / NAME / "aliases.json").write_bytes(aliases)
    assert kept[0] != log.read_bytes()

    registry.register(NAME, a_candidate(), who=WHO, why="next")

    lines = registry.audit(NAME)
    assert [line.action for line in lines[-3:]] == [
        Action.PROMOTE,
        Action.CORRECT,
        Action.REGISTER,
    ]
    assert lines[-2].detail["champion"] == first
    assert registry.aliases(NAME) == {"champion": first}
