"""Builds the files of a version from a candidate, and writes them into a folder."""

import importlib.metadata
import io
import platform
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path

from sensorwatch.common.registry.archive import Arrays, array_digest, joint_digest, pack
from sensorwatch.common.registry.candidate import Candidate
from sensorwatch.common.registry.durable_files import sync_folder, write_new
from sensorwatch.common.registry.golden_rows import golden_arrays
from sensorwatch.common.registry.manifest import (
    CalibrationSummary,
    ModelManifest,
    StoredArray,
    StoredFile,
)

MANIFEST = "manifest.json"
ARRAYS = "arrays.npz"
GOLDEN = "golden.npz"
ESTIMATOR = "estimator.joblib"
REPORTS = "reports"

_LIBRARIES = ("sensorwatch", "numpy", "scikit-learn", "numba", "joblib", "pandas")


@dataclass(frozen=True, slots=True)
class VersionContents:
    """The content of those files of a version that do not depend on the version's id."""

    arrays: Arrays
    files: dict[str, bytes]

    @property
    def array_digests(self) -> dict[str, str]:
        """SHA-256 of each array."""
        return {name: array_digest(array) for name, array in self.arrays.items()}


def build_contents(candidate: Candidate) -> VersionContents:
    """Return the contents of a candidate's files; this call scores its golden rows."""
    import joblib  # imported here, because processes that only load versions do not need it

    detector = candidate.detector("candidate")
    arrays = detector.arrays()
    estimator = io.BytesIO()
    joblib.dump(candidate.estimator, estimator)
    files = {
        ARRAYS: pack(arrays),
        GOLDEN: pack(golden_arrays(detector, candidate.golden)),
        ESTIMATOR: estimator.getvalue(),
    }
    return VersionContents(arrays, files)


def manifest_for(
    candidate: Candidate,
    contents: VersionContents,
    *,
    name: str,
    ordinal: int,
    parent: str | None,
    created: datetime,
) -> ModelManifest:
    """Return the manifest of a candidate as the version with the number `ordinal`."""
    digests = contents.array_digests
    arrays_digest = joint_digest(digests)
    calibration = candidate.calibration
    return ModelManifest(
        id=f"{name}-{ordinal:04d}-{arrays_digest[:8]}",
        name=name,
        created=created,
        parent=parent,
        schema=candidate.schema.to_plain(),
        schema_fingerprint=candidate.schema.fingerprint,
        plan=candidate.plan.to_plain(),
        parameters=candidate.parameters,
        seed=candidate.seed,
        data_source=candidate.data_source,
        split=candidate.split,
        alarms=candidate.alarms,
        blind_signals=candidate.blind_signals,
        calibration=CalibrationSummary(
            threshold=calibration.threshold,
            centre=calibration.centre,
            target_alert_rate=calibration.target_alert_rate,
            scores=len(calibration.scores),
        ),
        libraries=library_versions(),
        arrays={
            key: StoredArray(dtype=array.dtype.str, shape=array.shape, sha256=digests[key])
            for key, array in contents.arrays.items()
        },
        arrays_digest=arrays_digest,
        files={
            file: StoredFile(bytes=len(content), sha256=sha256(content).hexdigest())
            for file, content in contents.files.items()
        },
    )


def write_version(folder: Path, contents: VersionContents, manifest: ModelManifest) -> None:
    """Write and sync all files of a version in an empty folder."""
    (folder / REPORTS).mkdir()
    for file, content in contents.files.items():
        write_new(folder / file, content)
    write_new(folder / MANIFEST, manifest.to_bytes())
    sync_folder(folder)


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that influence a model."""
    versions = {"python": platform.python_version()}
    for library in _LIBRARIES:
        try:
            versions[library] = importlib.metadata.version(library)
        except importlib.metadata.PackageNotFoundError:
            versions[library] = "not installed"
    return versions
