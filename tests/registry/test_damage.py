"""Every kind of damage to a stored version is refused, clearly, and nothing in it is executed."""

import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pytest

from common.errors import ModelRefused
from common.registry.archive import Arrays, pack, unpack
from common.registry.loading import load_version
from common.registry.store import Registry
from tests.registry.forging import (
    NAME,
    BoobyTrap,
    a_registry,
    edit_arrays,
    edit_manifest,
    folder_of,
    replace_file,
)

FILES = ("manifest.json", "arrays.npz", "golden.npz", "estimator.joblib")


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    return a_registry(tmp_path)


@pytest.fixture
def folder(registry: Registry, tmp_path: Path) -> Path:
    return folder_of(tmp_path, registry.resolve(NAME, "champion"))


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("where", [0.0, 0.3, 0.7, 1.0])
def test_a_flipped_byte_is_refused(
    registry: Registry, folder: Path, file: str, where: float
) -> None:
    content = bytearray((folder / file).read_bytes())
    # The manifest's last byte is a line break, which means nothing: the one before it does.
    content[min(int(where * len(content)), len(content) - 2)] ^= 0x10
    (folder / file).write_bytes(content)

    with pytest.raises(ModelRefused, match=f"{folder.name} is refused"):
        registry.load(NAME)
    assert len(registry.verify(NAME, folder.name)) == 1


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("left", [0.0, 0.5, 0.99])
def test_a_truncated_file_is_refused(
    registry: Registry, folder: Path, file: str, left: float
) -> None:
    content = (folder / file).read_bytes()
    (folder / file).write_bytes(content[: int(left * len(content))])

    with pytest.raises(ModelRefused, match=f"{folder.name} is refused"):
        registry.load(NAME)


@pytest.mark.parametrize("file", FILES)
def test_a_missing_file_is_refused(registry: Registry, folder: Path, file: str) -> None:
    (folder / file).unlink()

    with pytest.raises(ModelRefused, match=f"{file} cannot be read: No such file"):
        registry.load(NAME)


def test_what_is_no_file_is_refused(registry: Registry, folder: Path) -> None:
    (folder / "arrays.npz").unlink()
    (folder / "arrays.npz").mkdir()

    with pytest.raises(ModelRefused, match=r"arrays\.npz is not a file"):
        registry.load(NAME)


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", "[" * 100_000, '{"format": 1}'])
def test_a_manifest_that_is_none_is_refused(registry: Registry, folder: Path, text: str) -> None:
    (folder / "manifest.json").write_text(text)

    with pytest.raises(ModelRefused, match="the manifest"):
        registry.load(NAME)


def test_an_edited_manifest_is_refused(registry: Registry, folder: Path) -> None:
    path = folder / "manifest.json"
    path.write_text(path.read_text().replace('"seed": 7', '"seed": 8'))

    with pytest.raises(ModelRefused, match="the manifest was edited"):
        registry.load(NAME)


def test_a_manifest_edited_with_its_digest_is_found_by_verify(
    registry: Registry, folder: Path
) -> None:
    edit_manifest(folder, lambda plain: plain.update(seed=8))

    registry.load(NAME)

    assert registry.verify(NAME, folder.name) == [
        "its manifest is not the one that the audit log recorded"
    ]


def test_a_newer_format_is_refused_with_the_remedy(registry: Registry, folder: Path) -> None:
    edit_manifest(folder, lambda plain: plain.update(format=2, something_new={}))

    with pytest.raises(ModelRefused, match=r"format 2 is newer .* upgrade sensorwatch"):
        registry.load(NAME)


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda plain: plain.update(surprise=1), 'unknown key "surprise"'),
        (lambda plain: plain.pop("seed"), '"seed" is missing'),
        (lambda plain: plain["schema"]["signals"][0].update(max=5.0), "fingerprint"),
        (lambda plain: plain["schema"]["signals"].pop(), "fingerprint"),
        (lambda plain: plain["schema"].update(signals=[]), "its schema cannot be read"),
        (lambda plain: plain["plan"]["features"].pop(), "the forest takes 5 features"),
        (lambda plain: plain["plan"]["features"][0].update(signal=9), "no such"),
        (lambda plain: plain["plan"].update(version=99), "upgrade sensorwatch"),
        (lambda plain: plain["files"].pop("golden.npz"), "names the files"),
        (lambda plain: plain["calibration"].update(threshold=0.1), "the manifest's calibration"),
        (lambda plain: plain["arrays"].pop("left"), "not those that the manifest records"),
        (lambda plain: plain.update(name="other"), "is not one of model"),
        (lambda plain: plain.update(id="default-0002-00000000"), "the arrays' digest"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(
    registry: Registry, folder: Path, edit: Callable[[dict[str, Any]], Any], message: str
) -> None:
    edit_manifest(folder, edit)

    with pytest.raises(ModelRefused, match=message):
        registry.load(NAME)


def test_a_version_under_the_name_of_another_is_refused(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    first, second = (folder_of(tmp_path, version) for version in registry.version_ids(NAME))
    first.rename(tmp_path / "gone")
    second.rename(first)

    with pytest.raises(ModelRefused, match=f"the manifest is that of {second.name}"):
        registry.load(NAME)


def _lower_threshold(arrays: Arrays) -> None:
    arrays["calibration"][0] -= 1e-6


def _higher_threshold(arrays: Arrays) -> None:
    arrays["calibration"][0] += 0.05


def _other_centre(arrays: Arrays) -> None:
    arrays["calibration"][1] -= 1e-6


def _other_path_lengths(arrays: Arrays) -> None:
    arrays["path_length"][arrays["feature"] < 0] += 1e-3


def _other_normaliser(arrays: Arrays) -> None:
    arrays["normaliser"] *= 1.001


@pytest.mark.parametrize(
    "edit",
    [
        _lower_threshold,
        _higher_threshold,
        _other_centre,
        _other_path_lengths,
        _other_normaliser,
    ],
)
def test_arrays_edited_with_every_digest_are_refused_by_the_golden_rows(
    folder: Path, edit: Callable[[Arrays], None]
) -> None:
    forged = edit_arrays(folder, edit)

    with pytest.raises(ModelRefused, match="golden rows get another score"):
        load_version(forged)


def _circle(arrays: Arrays) -> None:
    inner = np.flatnonzero(arrays["feature"] >= 0)[1]
    arrays["left"][inner] = 0


def _out_of_bounds(arrays: Arrays) -> None:
    arrays["right"][0] = len(arrays["right"]) + 1000


def _feature_that_is_not_there(arrays: Arrays) -> None:
    arrays["feature"][0] = 17


def _shorter(arrays: Arrays) -> None:
    arrays["threshold"] = arrays["threshold"][:-1]


def _other_type(arrays: Arrays) -> None:
    arrays["threshold"] = arrays["threshold"].astype(np.float32)


def _not_finite(arrays: Arrays) -> None:
    arrays["path_length"][:] = np.nan


def _no_leaves(arrays: Arrays) -> None:
    del arrays["left"]


def _no_ranges(arrays: Arrays) -> None:
    arrays["signal_ranges"] = arrays["signal_ranges"][:, :2]


@pytest.mark.parametrize(
    "edit",
    [
        _circle,
        _out_of_bounds,
        _feature_that_is_not_there,
        _shorter,
        _other_type,
        _not_finite,
        _no_leaves,
        _no_ranges,
    ],
)
def test_arrays_that_would_send_the_kernel_astray_are_refused_before_it_runs(
    folder: Path, edit: Callable[[Arrays], None]
) -> None:
    forged = edit_arrays(folder, edit)

    with pytest.raises(ModelRefused, match=r"damaged|has no array|ranges are not"):
        load_version(forged)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("values", np.zeros((50, 2))),
        ("event_time", np.zeros(50)),
        ("event_time", np.zeros(0, dtype=np.int64)),
        ("event_time", np.zeros(201, dtype=np.int64)),
        ("raw_score", np.full(50, np.nan)),
        ("is_anomaly", np.ones(50, dtype=np.bool_)),
        ("sensor", np.full(50, 9, dtype=np.int32)),
        ("sensor_ids", np.zeros((2, 2))),
    ],
)
def test_golden_rows_that_are_none_are_refused(
    registry: Registry, folder: Path, name: str, array: np.ndarray[Any, np.dtype[Any]]
) -> None:
    golden = unpack((folder / "golden.npz").read_bytes(), "golden.npz")
    replace_file(folder, "golden.npz", pack(golden | {name: array}))

    with pytest.raises(ModelRefused, match="golden rows"):
        registry.load(NAME)


@pytest.mark.parametrize("file", ["arrays.npz", "golden.npz"])
def test_pickled_objects_in_arrays_are_refused_and_never_executed(
    registry: Registry, folder: Path, tmp_path: Path, file: str
) -> None:
    marker = tmp_path / "executed"
    buffer = io.BytesIO()
    np.savez(buffer, feature=np.asarray([BoobyTrap(marker)], dtype=object))
    replace_file(folder, file, buffer.getvalue())

    with pytest.raises(ModelRefused, match="an array of another kind"):
        registry.load(NAME)

    assert not marker.exists()


def test_the_estimator_is_never_executed_not_even_one_with_the_right_digest(
    registry: Registry, folder: Path, tmp_path: Path
) -> None:
    marker = tmp_path / "executed"
    armed = pickle.dumps(BoobyTrap(marker))
    replace_file(folder, "estimator.joblib", armed)

    registry.load(NAME)
    registry.verify(NAME, folder.name)

    assert not marker.exists()
    joblib.load(folder / "estimator.joblib")
    assert marker.exists()  # so the trap would have worked


def test_the_list_of_versions_goes_on_past_a_damaged_one(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)
    (folder_of(tmp_path, registry.version_ids(NAME)[0]) / "manifest.json").write_text("{")

    assert len(registry.version_ids(NAME)) == 2
    with pytest.raises(ModelRefused, match=registry.version_ids(NAME)[0]):
        registry.versions(NAME)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"format": 2, "champion": null, "previous": null, "changed": null}']
)
def test_damaged_aliases_are_refused_until_promoting_writes_them_anew(
    registry: Registry, folder: Path, tmp_path: Path, text: str
) -> None:
    (tmp_path / "registry" / NAME / "aliases.json").write_text(text)

    with pytest.raises(ModelRefused, match="sensorwatch models promote"):
        registry.load(NAME)

    registry.promote(NAME, folder.name, who="me", why="repair", force="no report yet")
    assert registry.load(NAME).manifest.id == folder.name
    assert registry.verify_audit(NAME) == []
