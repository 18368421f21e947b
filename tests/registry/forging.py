"""Functions that build a registry, and functions that forge the files of a stored version."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sensorwatch.common.registry.archive import Arrays, array_digest, joint_digest, pack, unpack
from sensorwatch.common.registry.store import Registry
from tests.reading_builders import a_candidate

NAME = "default"
WHO = "tester@here"


def a_registry(root: Path, *, versions: int = 1) -> Registry:
    """Return a registry with some versions of one model; the first version is the champion."""
    registry = Registry(root / "registry")
    for number in range(versions):
        registry.register(NAME, a_candidate(seed=7 + number), who=WHO, why="test")
    return registry


def folder_of(root: Path, version: str) -> Path:
    """Return the folder in which `a_registry(root)` stores a version."""
    return root / "registry" / NAME / "versions" / version


def edit_manifest(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Edit a manifest and recompute its digest."""
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    edit(manifest)
    del manifest["digest"]
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":"))
    manifest["digest"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(manifest))


def replace_file(folder: Path, file: str, content: bytes) -> None:
    """Replace a file and record its new size and digest in the manifest."""
    (folder / file).write_bytes(content)

    def record_file(manifest: dict[str, Any]) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        manifest["files"][file] = {"bytes": len(content), "sha256": sha256}

    edit_manifest(folder, record_file)


def edit_arrays(folder: Path, edit: Callable[[Arrays], None]) -> Path:
    """Edit a version's arrays, recompute its digests and id, and return the renamed folder."""
    arrays = unpack((folder / "arrays.npz").read_bytes(), "arrays.npz")
    edit(arrays)
    replace_file(folder, "arrays.npz", pack(arrays))
    digests = {name: array_digest(array) for name, array in arrays.items()}
    joint_sha256 = joint_digest(digests)
    forged_folder = folder.with_name(f"{folder.name[:-8]}{joint_sha256[:8]}")

    def update_manifest(manifest: dict[str, Any]) -> None:
        manifest |= {"id": forged_folder.name, "arrays_digest": joint_sha256}
        manifest["arrays"] = {
            name: {"dtype": array.dtype.str, "shape": array.shape, "sha256": digests[name]}
            for name, array in arrays.items()
        }
        calibration_numbers = arrays["calibration"].tolist()
        manifest["calibration"]["threshold"], manifest["calibration"]["centre"] = (
            calibration_numbers[:2]
        )

    edit_manifest(folder, update_manifest)
    return folder.rename(forged_folder)


class BoobyTrap:
    """An object that creates a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)
