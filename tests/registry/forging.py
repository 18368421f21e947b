"""Registries for tests, and version folders that an expert of the format has edited."""

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
    """A registry with some versions of one model, the first its champion."""
    registry = Registry(root / "registry")
    for number in range(versions):
        registry.register(NAME, a_candidate(seed=7 + number), who=WHO, why="test")
    return registry


def folder_of(root: Path, version: str) -> Path:
    """Where `a_registry(root)` keeps a version."""
    return root / "registry" / NAME / "versions" / version


def edit_manifest(folder: Path, edit: Callable[[dict[str, Any]], None]) -> None:
    """Change a manifest and make its digest fit."""
    path = folder / "manifest.json"
    plain = json.loads(path.read_bytes())
    edit(plain)
    del plain["digest"]
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    plain["digest"] = hashlib.sha256(text.encode()).hexdigest()
    path.write_text(json.dumps(plain))


def replace_file(folder: Path, file: str, content: bytes) -> None:
    """Change a file and make the manifest's size and digest fit."""
    (folder / file).write_bytes(content)

    def edit(plain: dict[str, Any]) -> None:
        sha256 = hashlib.sha256(content).hexdigest()
        plain["files"][file] = {"bytes": len(content), "sha256": sha256}

    edit_manifest(folder, edit)


def edit_arrays(folder: Path, edit: Callable[[Arrays], None]) -> Path:
    """Change arrays and make every digest, the id and the folder's name fit; return the folder."""
    arrays = unpack((folder / "arrays.npz").read_bytes(), "arrays.npz")
    edit(arrays)
    replace_file(folder, "arrays.npz", pack(arrays))
    digests = {name: array_digest(array) for name, array in arrays.items()}
    joint = joint_digest(digests)
    forged = folder.with_name(f"{folder.name[:-8]}{joint[:8]}")

    def fit(plain: dict[str, Any]) -> None:
        plain |= {"id": forged.name, "arrays_digest": joint}
        plain["arrays"] = {
            name: {"dtype": array.dtype.str, "shape": array.shape, "sha256": digests[name]}
            for name, array in arrays.items()
        }
        numbers = arrays["calibration"].tolist()
        plain["calibration"]["threshold"], plain["calibration"]["centre"] = numbers[:2]

    edit_manifest(folder, fit)
    return folder.rename(forged)


class BoobyTrap:
    """Writes a file when it is unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)
