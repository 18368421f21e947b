"""The champion follows its alias, and a bad model never replaces a good one."""

import json
import shutil
from pathlib import Path

import pytest

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.registry.champion import Champion
from sensorwatch.common.registry.manifest import ModelVersion
from sensorwatch.common.registry.store import Registry
from tests.registry.forging import NAME, WHO, a_registry, folder_of


class ChampionRecorder:
    """Records the versions and refusals that a champion passes to its callbacks."""

    def __init__(self, registry: Registry) -> None:
        self.loaded_ids: list[str] = []
        self.refusals: list[str] = []
        self.champion = Champion(registry, NAME, on_loaded=self._loaded, on_refused=self._refused)

    def _loaded(self, version: ModelVersion) -> None:
        self.loaded_ids.append(version.manifest.id)

    def _refused(self, error: ModelRefused) -> None:
        self.refusals.append(str(error))


def _set_champion_by_hand(root: Path, version: str | None) -> None:
    """Set the champion in the alias file, without the registry's code."""
    path = root / "registry" / NAME / "aliases.json"
    aliases = json.loads(path.read_bytes()) | {"champion": version}
    path.write_text(json.dumps(aliases))


def test_the_next_refresh_loads_a_promoted_version(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    recorder = ChampionRecorder(registry)

    assert not recorder.champion.refresh()
    registry.promote(NAME, second_version, who=WHO, why="x", force="test")

    assert recorder.champion.current().version == first_version  # still the first version
    assert recorder.champion.refresh()
    assert recorder.champion.current().version == second_version
    assert recorder.champion.version.manifest.id == second_version
    assert not recorder.champion.refresh()
    assert (recorder.loaded_ids, recorder.refusals) == ([first_version, second_version], [])


def test_the_next_refresh_loads_the_version_of_a_rollback(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    registry.promote(NAME, second_version, who=WHO, why="x", force="test")
    champion = Champion(registry, NAME)

    registry.rollback(NAME, who=WHO, why="x")

    assert champion.refresh()
    assert champion.current().version == first_version


def test_a_damaged_version_promoted_by_hand_is_reported_once_and_not_used(
    tmp_path: Path,
) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    recorder = ChampionRecorder(registry)
    (folder_of(tmp_path, second_version) / "arrays.npz").write_bytes(b"broken")
    _set_champion_by_hand(tmp_path, second_version)

    assert [recorder.champion.refresh() for _ in range(5)] == [False] * 5

    assert recorder.champion.current().version == first_version
    assert len(recorder.refusals) == 1
    assert f"{second_version} is refused" in recorder.refusals[0]


def test_a_refused_version_is_tried_again_when_it_is_promoted_again(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    second_version = registry.version_ids(NAME)[1]
    recorder = ChampionRecorder(registry)
    folder = folder_of(tmp_path, second_version)
    shutil.move(folder, tmp_path / "away")
    _set_champion_by_hand(tmp_path, second_version)
    assert not recorder.champion.refresh()
    shutil.move(tmp_path / "away", folder)

    registry.promote(NAME, second_version, who=WHO, why="repaired", force="test")

    assert recorder.champion.refresh()
    assert recorder.champion.current().version == second_version


@pytest.mark.parametrize("target", [None, "nonsense", "../../etc", "default-0009-00000000"])
def test_an_alias_of_a_missing_version_changes_nothing(tmp_path: Path, target: str | None) -> None:
    registry = a_registry(tmp_path)
    recorder = ChampionRecorder(registry)
    _set_champion_by_hand(tmp_path, target)

    assert [recorder.champion.refresh() for _ in range(3)] == [False] * 3

    assert recorder.champion.current().version == recorder.loaded_ids[0]
    assert len(recorder.refusals) == 1


def test_a_damaged_alias_file_is_reported_once_and_recovered_from(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_version, second_version = registry.version_ids(NAME)
    recorder = ChampionRecorder(registry)
    path = tmp_path / "registry" / NAME / "aliases.json"
    original_bytes = path.read_bytes()

    path.write_bytes(b"{")
    assert [recorder.champion.refresh() for _ in range(3)] == [False] * 3
    assert len(recorder.refusals) == 1
    path.write_bytes(original_bytes)
    assert not recorder.champion.refresh()
    registry.promote(NAME, second_version, who=WHO, why="x", force="test")

    assert recorder.champion.refresh()
    assert recorder.loaded_ids == [first_version, second_version]
    assert len(recorder.refusals) == 1


def test_a_champion_stays_in_use_if_the_registry_disappears(tmp_path: Path) -> None:
    recorder = ChampionRecorder(a_registry(tmp_path))
    shutil.rmtree(tmp_path / "registry")

    assert not recorder.champion.refresh()

    assert recorder.champion.current().version == recorder.loaded_ids[0]
    assert len(recorder.refusals) == 1


def test_a_registry_without_a_champion_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="sensorwatch train"):
        Champion(Registry(tmp_path), NAME)

    registry = a_registry(tmp_path)
    _set_champion_by_hand(tmp_path, None)
    with pytest.raises(ModelRefused, match="has no champion: make one of default-0001"):
        Champion(registry, NAME)


def test_a_temporary_read_error_of_the_registry_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = a_registry(tmp_path, versions=2)
    second_version = registry.version_ids(NAME)[1]
    recorder = ChampionRecorder(registry)
    registry.promote(NAME, second_version, who=WHO, why="x", force="test")

    def raise_stale_file_handle(_path: Path) -> None:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr("os.scandir", raise_stale_file_handle)
    assert not recorder.champion.refresh()
    monkeypatch.undo()

    assert recorder.champion.current().version == recorder.loaded_ids[0]
    assert "Stale file handle" in recorder.refusals[0]
