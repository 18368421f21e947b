"""The files of a version are flushed to disk before the version becomes visible."""

import os
from pathlib import Path

import pytest

from sensorwatch.common.errors import UsageError
from sensorwatch.common.registry.store import Registry
from tests.reading_builders import a_candidate
from tests.registry.forging import NAME, WHO


def test_the_files_of_a_version_are_flushed_before_its_folder_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced_names: list[str] = []
    synced_at_rename: list[list[str]] = []
    original_rename = Path.rename

    def fsync(descriptor: int) -> None:
        synced_names.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    def record_and_rename(self: Path, target: Path) -> Path:
        synced_at_rename.append(list(synced_names))
        return original_rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", record_and_rename)

    version = Registry(tmp_path).register(NAME, a_candidate(), who=WHO, why="test")

    (names_synced_before_rename,) = synced_at_rename
    files = {"manifest.json", "arrays.npz", "golden.npz", "estimator.joblib"}
    assert files | {version, "audit.jsonl"} <= set(names_synced_before_rename)
    assert "versions" not in names_synced_before_rename
    assert "versions" in synced_names


def test_a_failed_replacement_leaves_the_old_file_and_no_temporary_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(tmp_path)
    registry.register(NAME, a_candidate(), who=WHO, why="test")
    second_version = registry.register(NAME, a_candidate(seed=8), who=WHO, why="test")
    aliases = registry.aliases(NAME)

    def raise_disk_full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", raise_disk_full)
        with pytest.raises(UsageError, match="cannot be changed: No space left"):
            registry.promote(NAME, second_version, who=WHO, why="x", force="test")

    assert registry.aliases(NAME) == aliases
    assert not list((tmp_path / NAME).glob(".*"))
    registry.promote(NAME, second_version, who=WHO, why="x", force="test")
    assert registry.verify_audit(NAME) == []
