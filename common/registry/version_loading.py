"""Loads a version: verifies all files in its folder, then builds its detector."""

import hashlib
import stat
from pathlib import Path

from sensorwatch.common.errors import ModelOutdated, ModelRefused, SchemaError
from sensorwatch.common.model.plan import plan_from_plain
from sensorwatch.common.registry.archive import Arrays, array_digest, joint_digest, unpack
from sensorwatch.common.registry.golden_rows import check_golden_rows
from sensorwatch.common.registry.manifest import (
    ModelManifest,
    ModelVersion,
    StoredFile,
    parse_manifest,
)
from sensorwatch.common.registry.version_files import ARRAYS, ESTIMATOR, GOLDEN, MANIFEST
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.stored_detector import detector_from_arrays

MAX_MANIFEST_BYTES = 16 * 2**20
MAX_FILE_BYTES = 2**30


def load_version(folder: Path) -> ModelVersion:
    """Return a version after checking digests, bounds, schema and golden rows, without unpickling.

    If a check fails, raises ModelRefused with the version, the problem and the remedy.
    """
    try:
        manifest = load_manifest(folder)
        _check_estimator(folder, manifest)
        arrays = unpack(_verified_content(folder, ARRAYS, manifest), ARRAYS)
        golden = unpack(_verified_content(folder, GOLDEN, manifest), GOLDEN)
        _check_arrays(arrays, manifest)
        detector = _build_detector(arrays, manifest)
        check_golden_rows(detector, golden)
    except ModelOutdated as error:
        raise ModelOutdated(f"model version {folder.name} is refused: {error}") from error
    except ModelRefused as error:
        raise ModelRefused(
            f"model version {folder.name} is refused: {error}; restore its folder {folder} from a "
            "backup, or promote another version"
        ) from error
    return ModelVersion(detector, manifest)


def load_manifest(folder: Path) -> ModelManifest:
    """Return a version's manifest.

    Raises ModelRefused if the manifest is damaged or belongs to another folder.
    """
    path = folder / MANIFEST
    size = _file_size(path)
    if size > MAX_MANIFEST_BYTES:
        raise ModelRefused(f"{MANIFEST} has {size} bytes, but the limit is {MAX_MANIFEST_BYTES}")
    manifest = parse_manifest(_read_file(path))
    if manifest.id != folder.name:
        raise ModelRefused(f"the manifest belongs to version {manifest.id}")
    if set(manifest.files) != {ARRAYS, GOLDEN, ESTIMATOR}:
        raise ModelRefused(f"the manifest names the files {', '.join(sorted(manifest.files))}")
    return manifest


def _verified_content(folder: Path, file: str, manifest: ModelManifest) -> bytes:
    """Return the content of a file after comparing the file's digest with the manifest."""
    stored_file = manifest.files[file]
    _check_size(folder / file, stored_file)
    content = _read_file(folder / file)
    _check_digest(file, hashlib.sha256(content).hexdigest(), stored_file)
    return content


def _check_estimator(folder: Path, manifest: ModelManifest) -> None:
    """Check the digest of the estimator's file without loading it, because it is a pickle."""
    stored_file = manifest.files[ESTIMATOR]
    _check_size(folder / ESTIMATOR, stored_file)
    try:
        with (folder / ESTIMATOR).open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelRefused(f"{ESTIMATOR} cannot be read: {error.strerror or error}") from error
    _check_digest(ESTIMATOR, digest, stored_file)


def _check_size(path: Path, stored_file: StoredFile) -> None:
    size = _file_size(path)
    if size != stored_file.bytes or size > MAX_FILE_BYTES:
        raise ModelRefused(
            f"{path.name} has {size} bytes; the manifest records {stored_file.bytes}, and the "
            f"limit is {MAX_FILE_BYTES}"
        )


def _check_digest(file: str, digest: str, stored_file: StoredFile) -> None:
    if digest != stored_file.sha256:
        raise ModelRefused(
            f"{file} was edited or damaged: its SHA-256 is {digest[:16]}..., but the manifest "
            f"records {stored_file.sha256[:16]}..."
        )


def _check_arrays(arrays: Arrays, manifest: ModelManifest) -> None:
    digests = {name: array_digest(array) for name, array in arrays.items()}
    if digests != {name: array.sha256 for name, array in manifest.arrays.items()}:
        raise ModelRefused("the arrays differ from the arrays that the manifest describes")
    if joint_digest(digests) != manifest.arrays_digest:
        raise ModelRefused("the digest over all arrays is not the one that the manifest records")


def _build_detector(arrays: Arrays, manifest: ModelManifest) -> Detector:
    schema = _parse_schema(manifest)
    detector = detector_from_arrays(
        manifest.id, schema, plan_from_plain(manifest.plan, schema), arrays
    )
    summary, calibration = manifest.calibration, detector.calibration
    if (summary.threshold, summary.centre, summary.target_alert_rate, summary.scores) != (
        calibration.threshold,
        calibration.centre,
        calibration.target_alert_rate,
        len(calibration.scores),
    ):
        raise ModelRefused("the manifest's calibration does not match the arrays")
    return detector


def _parse_schema(manifest: ModelManifest) -> Schema:
    try:
        schema = schema_from_plain(manifest.row_schema)
    except SchemaError as error:
        raise ModelRefused(f"its schema cannot be read: {error}") from error
    if schema.fingerprint != manifest.schema_fingerprint:
        raise ModelRefused(
            f"its schema has the fingerprint {schema.fingerprint}, but the manifest records "
            f"{manifest.schema_fingerprint}"
        )
    return schema


def _file_size(path: Path) -> int:
    try:
        status = path.stat()
    except OSError as error:
        raise ModelRefused(f"{path.name} cannot be read: {error.strerror or error}") from error
    if not stat.S_ISREG(status.st_mode):
        raise ModelRefused(f"{path.name} is not a file")
    return status.st_size


def _read_file(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelRefused(f"{path.name} cannot be read: {error.strerror or error}") from error
