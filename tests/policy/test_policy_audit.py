"""The audit compares the policies of a folder with the audit log."""

import os
import shutil
from pathlib import Path

import pytest

from sensorwatch.common.registry.audit import Action
from sensorwatch.common.registry.audit_history import logged_state
from sensorwatch.common.registry.policy_registry import PolicyRegistry
from sensorwatch.common.registry.store import Registry
from tests.policy.policy_builders import a_policy

NAME = "default"
FIRST, SECOND, THIRD = (a_policy(f'[[rule]]\nname = "r"\nmin_rows = {n}') for n in (2, 3, 4))


@pytest.fixture
def registry(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Registry:
    """Return a registry in which two policies were applied, the second one last."""
    monkeypatch.setattr(os, "fsync", lambda _descriptor: None)
    registry = Registry(tmp_path)
    for policy in (FIRST, SECOND):
        PolicyRegistry(tmp_path, NAME).apply(policy, who="anna", why="less noise")
    assert registry.verify_audit(NAME) == []
    return registry


def file_of(folder: Path, policy_id: str) -> Path:
    return folder / NAME / "policies" / f"{policy_id}.json"


def apply_third(folder: Path) -> None:
    PolicyRegistry(folder, NAME).apply(THIRD, who="anna", why="less noise")


def test_a_policy_removed_by_hand_is_found_and_then_logged(
    registry: Registry, tmp_path: Path
) -> None:
    file_of(tmp_path, FIRST.id).unlink()

    assert registry.verify_audit(NAME) == [f"{FIRST.id} is missing"]
    apply_third(tmp_path)

    assert registry.verify_audit(NAME) == []
    assert [line.action for line in registry.audit(NAME)[-2:]] == [Action.CORRECT, Action.POLICY]


def test_a_policy_copied_in_by_hand_is_found(registry: Registry, tmp_path: Path) -> None:
    file_of(tmp_path, THIRD.id).write_bytes(THIRD.to_bytes())

    assert registry.verify_audit(NAME) == [f"{THIRD.id} has no entry"]


def test_a_changed_policy_is_found_until_it_is_stored_again(
    registry: Registry, tmp_path: Path
) -> None:
    file = file_of(tmp_path, SECOND.id)
    file.chmod(0o600)
    file.write_bytes(THIRD.to_bytes())

    (problem,) = registry.verify_audit(NAME)
    assert problem.startswith(f"the policy {SECOND.id} is damaged: its content belongs to")
    PolicyRegistry(tmp_path, NAME).apply(SECOND, who="anna", why="again")

    assert registry.verify_audit(NAME) == []


def test_an_alias_moved_by_hand_is_found(registry: Registry, tmp_path: Path) -> None:
    alias = tmp_path / NAME / "policies" / "current.json"
    alias.write_text(alias.read_text().replace(SECOND.id, FIRST.id))

    assert registry.verify_audit(NAME) == [
        f"policy@current is {FIRST.id}, but the log records {SECOND.id}"
    ]
    alias.write_text("{")
    assert registry.verify_audit(NAME) == ["policy@current cannot be read"]
    apply_third(tmp_path)
    assert registry.verify_audit(NAME) == []


def test_a_pruned_policy_is_not_missing(registry: Registry, tmp_path: Path) -> None:
    deleted = PolicyRegistry(tmp_path, NAME).prune(who="anna", why="old", in_use=frozenset())

    assert deleted == [FIRST.id]
    assert registry.verify_audit(NAME) == []


def test_a_removed_folder_of_policies_is_found(registry: Registry, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / NAME / "policies")

    assert registry.verify_audit(NAME) == [
        *(f"{policy_id} is missing" for policy_id in sorted((FIRST.id, SECOND.id))),
        f"policy@current is unset, but the log records {SECOND.id}",
    ]


def test_a_correction_of_an_older_program_keeps_the_policies(
    registry: Registry, tmp_path: Path
) -> None:
    """Such an entry does not name the policies."""
    file_of(tmp_path, THIRD.id).write_bytes(THIRD.to_bytes())
    apply_third(tmp_path)
    entries = registry.audit(NAME)
    old_entries = [
        entry.model_copy(update={"detail": {"versions": []}})
        if entry.action is Action.CORRECT
        else entry
        for entry in entries
    ]

    assert old_entries != entries
    assert logged_state(old_entries) == logged_state(entries)
