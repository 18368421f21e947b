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


class WatchedChampion:
    """A champion and its callbacks."""

    def __init__(self, registry: Registry) -> None:
        self.loaded: list[str] = []
        self.refused: list[str] = []
        self.champion = Champion(registry, NAME, on_loaded=self._loaded, on_refused=self._refused)

    def _loaded(self, version: ModelVersion) -> None:
        self.loaded.append(version.manifest.id)

    def _refused(self, refused: ModelRefused) -> None:
        self.refused.append(str(refused))


def _point_by_hand(root: Path, version: str | None) -> None:
    """Edit the alias file without an atomic replacement."""
    path = root / "registry" / NAME / "aliases.json"
    plain = json.loads(path.read_bytes()) | {"champion": version}
    path.write_text(json.dumps(plain))


def test_a_promotion_is_followed_at_the_next_look(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first, second = registry.version_ids(NAME)
    watched = WatchedChampion(registry)

    assert not watched.champion.refresh()
    registry.promote(NAME, second, who=WHO, why="x", force="test")

    assert watched.champion.current().version == first  # until it looks
    assert watched.champion.refresh()
    assert watched.champion.current().version == second
    assert watched.champion.version.manifest.id == second
    assert not watched.champion.refresh()
    assert (watched.loaded, watched.refused) == ([first, second], [])


def test_a_rollback_is_followed(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first, second = registry.version_ids(NAME)
    registry.promote(NAME, second, who=WHO, why="x", force="test")
    champion = Champion(registry, NAME)

    registry.rollback(NAME, who=WHO, why="x")

    assert champion.refresh()
    assert champion.current().version == first


def test_a_damaged_version_promoted_by_hand_is_reported_once_and_the_last_good_goes_on(
    tmp_path: Path,
) -> None:
    registry = a_registry(tmp_path, versions=2)
    first, second = registry.version_ids(NAME)
    watched = WatchedChampion(registry)
    (folder_of(tmp_path, second) / "arrays.npz").write_bytes(b"broken")
    _point_by_hand(tmp_path, second)

    assert [watched.champion.refresh() for _ in range(5)] == [False] * 5

    assert watched.champion.current().version == first
    assert len(watched.refused) == 1
    assert f"{second} is refused" in watched.refused[0]


def test_a_refused_version_is_tried_again_when_it_is_promoted_again(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    second = registry.version_ids(NAME)[1]
    watched = WatchedChampion(registry)
    folder = folder_of(tmp_path, second)
    shutil.move(folder, tmp_path / "away")
    _point_by_hand(tmp_path, second)
    assert not watched.champion.refresh()
    shutil.move(tmp_path / "away", folder)

    registry.promote(NAME, second, who=WHO, why="repaired", force="test")

    assert watched.champion.refresh()
    assert watched.champion.current().version == second


@pytest.mark.parametrize("target", [None, "nonsense", "../../etc", "default-0009-00000000"])
def test_an_alias_that_points_nowhere_changes_nothing(tmp_path: Path, target: str | None) -> None:
    registry = a_registry(tmp_path)
    watched = WatchedChampion(registry)
    _point_by_hand(tmp_path, target)

    assert [watched.champion.refresh() for _ in range(3)] == [False] * 3

    assert watched.champion.current().version == watched.loaded[0]
    assert len(watched.refused) == 1


def test_a_damaged_alias_file_is_reported_once_and_recovered_from(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first, second = registry.version_ids(NAME)
    watched = WatchedChampion(registry)
    path = tmp_path / "registry" / NAME / "aliases.json"
    sound = path.read_bytes()

    path.write_bytes(b"{")
    assert [watched.champion.refresh() for _ in range(3)] == [False] * 3
    assert len(watched.refused) == 1
    path.write_bytes(sound)
    assert not watched.champion.refresh()
    registry.promote(NAME, second, who=WHO, why="x", force="test")

    assert watched.champion.refresh()
    assert watched.loaded == [first, second]
    assert len(watched.refused) == 1


def test_the_last_good_goes_on_when_the_whole_registry_disappears(tmp_path: Path) -> None:
    watched = WatchedChampion(a_registry(tmp_path))
    shutil.rmtree(tmp_path / "registry")

    assert not watched.champion.refresh()

    assert watched.champion.current().version == watched.loaded[0]
    assert len(watched.refused) == 1


def test_without_a_usable_champion_there_is_nothing_to_begin_with(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match="sensorwatch train"):
        Champion(Registry(tmp_path), NAME)

    registry = a_registry(tmp_path)
    _point_by_hand(tmp_path, None)
    with pytest.raises(ModelRefused, match="has no champion: make one of default-0001"):
        Champion(registry, NAME)


def test_a_registry_that_cannot_be_read_for_a_while_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry = a_registry(tmp_path, versions=2)
    second = registry.version_ids(NAME)[1]
    watched = WatchedChampion(registry)
    registry.promote(NAME, second, who=WHO, why="x", force="test")

    def stale(_path: Path) -> None:
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr("os.scandir", stale)
    assert not watched.champion.refresh()
    monkeypatch.undo()

    assert watched.champion.current().version == watched.loaded[0]
    assert "Stale file handle" in watched.refused[0]
