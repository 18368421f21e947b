"""A damaged version is refused with a clear message, and none of its content is executed."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from sensorwatch.common.errors import ModelOutdated, ModelRefused
from sensorwatch.common.registry.store import Registry
from tests.registry.forging import (
    NAME,
    BoobyTrap,
    a_registry,
    edit_manifest,
    folder_of,
    replace_file,
)

FILES = ("manifest.json", "arrays.npz", "golden.npz", "estimator.joblib")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("position", [0.0, 0.3, 0.7, 1.0])
def test_a_flipped_byte_is_refused(
    registry: Registry, folder: Path, file: str, position: float
) -> None:
    content = bytearray((folder / file).read_bytes())
    # The last byte stays: the manifest ends with a line break, whose change has no effect.
    content[min(int(position * len(content)), len(content) - 2)] ^= 0x10
    (folder / file).write_bytes(content)

    with pytest.raises(ModelRefused, match=f"{folder.name} is refused"):
        registry.load(NAME)
    assert len(registry.verify(NAME, folder.name)) == 1


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kept_share", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused(
    registry: Registry, folder: Path, file: str, kept_share: float
) -> None:
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: int(kept_share * len(content))])

    with pytest.raises(ModelRefused, match=f"{folder.name} is refused"):
        registry.load(NAME)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_refused(registry: Registry, folder: Path, file: str) -> None:
    (folder / file).unlink()

    with pytest.raises(ModelRefused, match=f"{file} cannot be read: No such file"):
        registry.load(NAME)


def test_a_folder_in_place_of_a_file_is_refused(registry: Registry, folder: Path) -> None:
    (folder / "arrays.npz").unlink()
    (folder / "arrays.npz").mkdir()

    with pytest.raises(ModelRefused, match=r"arrays\.npz is not a file"):
        registry.load(NAME)


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", "[" * 100_000, '{"format": 2}'])
def test_a_text_that_is_not_a_manifest_is_refused(
    registry: Registry, folder: Path, text: str
) -> None:
    (folder / "manifest.json").write_text(text)

    with pytest.raises(ModelRefused, match="the manifest"):
        registry.load(NAME)


def test_an_edited_manifest_is_refused(registry: Registry, folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 7', '"seed": 8'))

    with pytest.raises(ModelRefused, match="the manifest was edited"):
        registry.load(NAME)


def test_verify_finds_an_edited_manifest_with_a_recomputed_digest(
    registry: Registry, folder: Path
) -> None:
    edit_manifest(folder, lambda manifest: manifest.update(seed=8))

    registry.load(NAME)

    assert registry.verify(NAME, folder.name) == [
        "its manifest is not the one that the audit log recorded"
    ]


def test_a_newer_format_is_refused_with_the_remedy(registry: Registry, folder: Path) -> None:
    edit_manifest(folder, lambda manifest: manifest.update(format=3, something_new={}))

    with pytest.raises(ModelRefused, match=r"format 3 is newer .* upgrade sensorwatch"):
        registry.load(NAME)


def test_an_older_format_is_refused_with_the_advice_to_train_again(
    registry: Registry, folder: Path
) -> None:
    edit_manifest(folder, lambda manifest: manifest.update(format=1))

    with pytest.raises(ModelOutdated, match=r"its format 1 is older than 2.*train again") as error:
        registry.load(NAME)

    assert "backup" not in str(error.value), "an older backup would be refused too"
    assert error.value.exit_code == ModelRefused.exit_code


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda manifest: manifest.update(surprise=1), 'unknown key "surprise"'),
        (lambda manifest: manifest.pop("seed"), '"seed" is missing'),
        (lambda manifest: manifest["schema"]["signals"][0].update(max=5.0), "fingerprint"),
        (lambda manifest: manifest["schema"]["signals"].pop(), "fingerprint"),
        (lambda manifest: manifest["schema"].update(signals=[]), "its schema cannot be read"),
        (lambda manifest: manifest["plan"]["features"].pop(), "the forest has 5 features"),
        (lambda manifest: manifest["plan"]["features"][0].update(signal=9), "uses signal number 9"),
        (lambda manifest: manifest["plan"].update(version=99), "upgrade sensorwatch"),
        (lambda manifest: manifest["files"].pop("golden.npz"), "names the files"),
        (
            lambda manifest: manifest["calibration"].update(threshold=0.1),
            "the manifest's calibration",
        ),
        (
            lambda manifest: manifest["arrays"].pop("left"),
            "differ from the arrays that the manifest describes",
        ),
        (lambda manifest: manifest.update(name="other"), "is not one of model"),
        (lambda manifest: manifest.update(id="default-0002-00000000"), "the arrays' digest"),
    ],
)
def test_a_manifest_that_does_not_match_its_version_is_refused(
    registry: Registry, folder: Path, edit: Callable[[dict[str, Any]], Any], message: str
) -> None:
    edit_manifest(folder, edit)

    with pytest.raises(ModelRefused, match=message):
        registry.load(NAME)


def test_a_version_under_the_name_of_another_is_refused(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first_folder, second_folder = (
        folder_of(tmp_path, version) for version in registry.version_ids(NAME)
    )
    first_folder.rename(tmp_path / "gone")
    second_folder.rename(first_folder)

    with pytest.raises(ModelRefused, match=f"the manifest belongs to version {second_folder.name}"):
        registry.load(NAME)


@pytest.mark.parametrize("file", ["arrays.npz", "golden.npz"])
def test_pickled_objects_in_arrays_are_refused_and_never_executed(
    registry: Registry, folder: Path, tmp_path: Path, file: str
) -> None:
    marker = tmp_path / "executed"
    buffer = io.BytesIO()
    np.savez(buffer, feature=np.asarray([BoobyTrap(marker)], dtype=object))
    replace_file(folder, file, buffer.getvalue())

    with pytest.raises(ModelRefused, match="an array header of another kind"):
        registry.load(NAME)

    assert not marker.exists()


def test_the_estimator_is_not_executed_even_if_its_digest_is_correct(
    registry: Registry, folder: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "executed"
    pickled_trap = pickle.dumps(BoobyTrap(marker))
    replace_file(folder, "estimator.joblib", pickled_trap)

    registry.load(NAME)
    registry.verify(NAME, folder.name)

    assert not marker.exists()
    joblib.load(folder / "estimator.joblib")
    assert marker.exists()  # confirms that unpickling creates the file


def test_a_damaged_version_is_listed_but_its_manifest_is_refused(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    (folder_of(tmp_path, registry.version_ids(NAME)[0]) / "manifest.json").write_text("{")

    assert len(registry.version_ids(NAME)) == 2
    with pytest.raises(ModelRefused, match=registry.version_ids(NAME)[0]):
        registry.versions(NAME)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2, "champion": null, "previous": null, "changed": null}']
)
def test_damaged_aliases_are_refused_until_a_promotion_writes_them_again(
    registry: Registry, folder: Path, tmp_path: Path, text: str
) -> None:
    (tmp_path / "registry" / NAME / "aliases.json").write_text(text)

    with pytest.raises(ModelRefused, match="sensorwatch models promote"):
        registry.load(NAME)

    registry.promote(NAME, folder.name, who="me", why="repair", force="no report yet")
    assert registry.load(NAME).manifest.id == folder.name
    assert registry.verify_audit(NAME) == []
