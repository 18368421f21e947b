"""A change that is killed at any point leaves a registry that the next change repairs."""

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

# Names of Python's audit events for operations that change a folder.
# Python raises each event before the operation.
FILE_OPERATIONS = frozenset(
    {"open", "os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.truncate"}
)

WRITE_MODES = ("xb", "ab", "wb")

# Since version 3.12, Python warns when a process with threads forks. Here the fork is safe,
# because the child process needs no threads.
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
@pytest.mark.parametrize("make_change", [_register, _promote, _attach_report, _prune])
def test_a_change_killed_before_any_file_operation_leaves_a_sound_registry(
    tmp_path: Path, make_change: Callable[[Registry], None]
) -> None:
    a_candidate(seed=9)  # caches the candidate, so that no child process trains it
    for operation_number in range(1, 200):
        root = tmp_path / str(operation_number)
        registry = a_registry(root, versions=3)
        champion_before = registry.aliases(NAME)["champion"]
        was_killed = _killed_before(lambda: make_change(registry), root, operation_number)  # noqa: B023 - runs before the next iteration

        _check_loads(registry, champion_before)
        _check_recovers(registry, root)
        if not was_killed:
            break
    assert not was_killed
    assert operation_number > 5


@pytest.mark.slow
def test_a_killed_first_registration_does_not_prevent_the_next(tmp_path: Path) -> None:
    a_candidate(seed=9)
    for operation_number in range(1, 200):
        registry = Registry(tmp_path / str(operation_number) / "registry")
        was_killed = _killed_before(lambda: _register(registry), tmp_path, operation_number)  # noqa: B023 - as above

        version = registry.register(NAME, a_candidate(), who=WHO, why="next")

        assert version in registry.version_ids(NAME)
        assert registry.load(NAME).manifest.id in registry.version_ids(NAME)
        assert registry.verify_audit(NAME) == []
        if not was_killed:
            break
    assert not was_killed
    assert operation_number > 5


def _check_loads(registry: Registry, champion_before: str) -> None:
    """Check that the killed change left a registry that can be read without a repair."""
    ids = registry.version_ids(NAME)
    champion = registry.load(NAME).manifest.id
    assert champion in {champion_before, *ids[1:2]}
    assert all(registry.verify(NAME, version) == [] for version in ids)


def _check_recovers(registry: Registry, root: Path) -> None:
    """Check that the next change repairs the log, and that pruning removes unfinished files."""
    version_prefixes = [version[:13] for version in registry.version_ids(NAME)]
    version = registry.register(NAME, a_candidate(), who=WHO, why="next")
    assert version[:13] not in version_prefixes
    assert registry.verify_audit(NAME) == []
    registry.prune(NAME, keep=9, who=WHO, why="sweep")
    assert list((root / "registry" / NAME / "staging").iterdir()) == []
    files = {path.name for path in (root / "registry" / NAME).iterdir() if path.is_file()}
    assert files <= {"aliases.json", "audit.jsonl", "audit.head", "lock"}


def _killed_before(make_change: Callable[[], Any], root: Path, operation_number: int) -> bool:
    """Make the change in a child process, and return whether SIGKILL ended that process.

    The child gets SIGKILL before its file operation with the number `operation_number`.
    """
    child = os.fork()
    if child == 0:
        _kill_before(root, operation_number)
        try:
            make_change()
        except BaseException:  # noqa: BLE001 - the child must not return to pytest
            os._exit(1)
        os._exit(0)
    _, wait_status = os.waitpid(child, 0)
    if os.WIFSIGNALED(wait_status):
        assert os.WTERMSIG(wait_status) == signal.SIGKILL
        return True
    assert os.WEXITSTATUS(wait_status) == 0
    return False


def _kill_before(root: Path, operation_number: int) -> None:
    operations_left, root_prefix = operation_number, str(root)

    def count_operation(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal operations_left
        if event not in FILE_OPERATIONS:
            return
        if event == "open" and not (
            arguments[1] in WRITE_MODES and str(arguments[0]).startswith(root_prefix)
        ):
            return
        operations_left -= 1
        if operations_left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(count_operation)


def test_a_kill_between_a_log_entry_and_its_change_is_corrected_in_the_log(tmp_path: Path) -> None:
    """The alias file is restored by hand, because a kill rarely occurs at exactly this point."""
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    log = tmp_path / "registry" / NAME / "audit.jsonl"
    log_before = log.read_bytes()
    aliases = (tmp_path / "registry" / NAME / "aliases.json").read_bytes()
    registry.promote(NAME, second_version, who=WHO, why="killed", force="test")
    (tmp_path / "registry" / NAME / "aliases.json").write_bytes(aliases)
    assert log_before != log.read_bytes()

    registry.register(NAME, a_candidate(), who=WHO, why="next")

    lines = registry.audit(NAME)
    assert [line.action for line in lines[-3:]] == [
        Action.PROMOTE,
        Action.CORRECT,
        Action.REGISTER,
    ]
    assert lines[-2].detail["champion"] == first_version
    assert registry.aliases(NAME) == {"champion": first_version}
