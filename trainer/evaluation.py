"""Every question that is put to a model version, answered in one report."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from sensorwatch.common.errors import DataError
from sensorwatch.common.registry.archive import array_digest, joint_digest
from sensorwatch.common.registry.manifest import ModelManifest, ModelVersion
from sensorwatch.common.registry.version_files import library_versions
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.trainer.dataset import Dataset, by_time
from sensorwatch.trainer.evaluation_check import Check, Section
from sensorwatch.trainer.fault_detection import failures
from sensorwatch.trainer.imputation import filled
from sensorwatch.trainer.level_fitting import fit_levels, well_known
from sensorwatch.trainer.path_consistency import agreement, correctness
from sensorwatch.trainer.stability import stability
from sensorwatch.trainer.training import refitted, rows_needed, split_by_time, train

REPORT_FORMAT = 1
MAX_AGREEMENT_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Subject:
    """The version that is evaluated, and how it is loaded once more."""

    version: ModelVersion
    reload: Callable[[], ModelVersion]


def evaluate_version(subject: Subject, dataset: Dataset) -> dict[str, Any]:
    """Ask every question and return the report as plain JSON values.

    Where the rows are those that the version was trained on, faults are injected only into the
    part that it was not fitted on, and training is repeated: it has to give the same arrays.
    Raises DataError for rows too few to judge by.
    """
    manifest, detector = subject.version.manifest, subject.version.detector
    source = dataset.source  # refuses a source without a valid row
    how = settings_of(manifest)
    readings = by_time(dataset.readings)
    if len(readings) < rows_needed(how.calibration_share):
        raise DataError(
            f"{len(readings)} valid rows of {dataset.uri} are too few to evaluate on: at least "
            f"{rows_needed(how.calibration_share)} are needed"
        )
    same = trained_on(manifest, dataset)
    injected = _injected(readings, detector, how, same=same)
    judged = _from_the_beginning(readings, detector) if same else detector
    sections = {
        "stability": stability(readings, judged, how),
        "correctness": correctness(readings, detector, lambda: subject.reload().detector),
        "training": _training(subject.version, readings, dataset, how, same=same),
        "failures": failures(*injected, seed=manifest.seed),
    }
    checks = [check for section in sections.values() for check in section.checks]
    return {
        "format": REPORT_FORMAT,
        "version": manifest.id,
        "passed": all(check.passed for check in checks),
        "failed": [check.name for check in checks if not check.passed],
        "data": {**source.model_dump(mode="json"), "is_training_data": same},
        "checks": [check.to_plain() for check in checks],
        **{name: section.figures for name, section in sections.items()},
    }


def settings_of(manifest: ModelManifest) -> TrainerSettings:
    """Return what a version was trained with; what its manifest does not say has its default."""
    known = {
        name: value
        for name, value in manifest.parameters.items()
        if name in TrainerSettings.model_fields
    }
    return TrainerSettings(**known, seed=manifest.seed)


def trained_on(manifest: ModelManifest, dataset: Dataset) -> bool:
    """Say whether these are the very rows that a version was trained on."""
    told = manifest.data_source
    return told.sha256 == dataset.sha256 and told.rows == len(dataset.readings)


def _from_the_beginning(readings: Readings, detector: Detector) -> Detector:
    """Return the detector as if its sensors had not moved yet.

    It is made to go on after its training rows, from where they ended, not to begin with them.
    """
    if detector.forecast is None:
        return detector
    held = filled(readings)
    levels = fit_levels(held, detector.schema, min_rows=detector.levels.min_rows)
    return replace(detector, levels=well_known(levels, held))


def _injected(
    readings: Readings, detector: Detector, how: TrainerSettings, *, same: bool
) -> tuple[Readings, Detector]:
    """Return rows to inject faults into, and a detector that was not fitted on them."""
    if not same:
        return readings, detector
    split = split_by_time(readings, how.calibration_share)
    if detector.forecast is None:
        return split.calibration, detector
    # It was fitted on all of them: one of the same making looks instead, if the rows suffice.
    if len(split.fit) < rows_needed(how.calibration_share):
        return readings, detector
    return split.calibration, refitted(split.fit, detector.schema, how)


def _training(
    version: ModelVersion, readings: Readings, dataset: Dataset, how: TrainerSettings, *, same: bool
) -> Section:
    """Train again: the compiled forest must agree with its estimator, the arrays with ours."""
    detector, manifest = version.detector, version.manifest
    repeated = same and manifest.libraries == library_versions()
    checks: list[Check] = []
    candidate = train(readings, detector.schema, dataset.source, how)
    again = candidate.detector(manifest.id)
    if repeated:
        digests = {name: array_digest(array) for name, array in again.arrays().items()}
        checks.append(_reproduced(joint_digest(digests), manifest.arrays_digest))
    newest = readings.take(slice(max(len(readings) - MAX_AGREEMENT_ROWS, 0), None))
    checks.append(agreement(again, candidate.estimator, newest))
    return Section(tuple(checks), {"repeated": repeated, "rows": len(newest)})


def _reproduced(found: str, wanted: str) -> Check:
    return Check(
        "training.reproduced",
        found == wanted,
        f"same data and seed give arrays {found[:16]}",
        f"those of the version, {wanted[:16]}",
    )
