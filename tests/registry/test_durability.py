"""What a power cut must not take is on the disk before anybody can see it."""

import os
from pathlib import Path

import pytest

from sensorwatch.common.errors import UsageError
from sensorwatch.common.registry.store import Registry
from tests.reading_builders import a_candidate
from tests.registry.forging import NAME, WHO


def test_a_versions_files_are_on_the_disk_before_it_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    named: list[list[str]] = []
    rename = Path.rename

    def fsync(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    def watched_rename(self: Path, target: Path) -> Path:
        named.append(list(synced))
        return rename(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "rename", watched_rename)

    version = Registry(tmp_path).register(NAME, a_candidate(), who=WHO, why="test")

    (before,) = named
    files = {"manifest.json", "arrays.npz", "golden.npz", "estimator.joblib"}
    assert files | {version, "audit.jsonl"} <= set(before)
    assert "versions" not in before
    assert "versions" in synced


def test_a_failed_replacement_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = Registry(tmp_path)
    registry.register(NAME, a_candidate(), who=WHO, why="test")
    second = registry.register(NAME, a_candidate(seed=8), who=WHO, why="test")
    aliases = registry.aliases(NAME)

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(UsageError, match="cannot be changed: No space left"):
            registry.promote(NAME, second, who=WHO, why="x", force="test")

    assert registry.aliases(NAME) == aliases
    assert not list((tmp_path / NAME).glob(".*"))
    registry.promote(NAME, second, who=WHO, why="x", force="test")
    assert registry.verify_audit(NAME) == []
