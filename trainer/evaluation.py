"""The evaluation of a model version: all checks and measurements in one report."""

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
from sensorwatch.trainer.clean_alarms import alarm_budget_section
from sensorwatch.trainer.dataset import Dataset, sort_by_time
from sensorwatch.trainer.evaluation_check import Check, Section
from sensorwatch.trainer.fault_detection import fault_detection_section
from sensorwatch.trainer.level_fitting import drop_sensors_with_few_rows, fit_levels
from sensorwatch.trainer.model_rows import model_rows
from sensorwatch.trainer.path_consistency import path_consistency_section, sklearn_agreement
from sensorwatch.trainer.stability import alert_rate_section
from sensorwatch.trainer.training import fit_unregistered, rows_needed, split_by_time, train

REPORT_FORMAT = 1
MAX_SKLEARN_AGREEMENT_ROWS = 20_000
"""The forest is compared with scikit-learn on the newest rows, at most on this number of rows."""


@dataclass(frozen=True, slots=True)
class EvaluatedVersion:
    """A version to evaluate, and a function that loads the version again."""

    version: ModelVersion
    reload: Callable[[], ModelVersion]
    """Loads the version from its files again."""


def _say_nothing(_step: str) -> None:
    pass


def evaluate_version(
    evaluated_version: EvaluatedVersion,
    dataset: Dataset,
    *,
    on_step: Callable[[str], object] = _say_nothing,
) -> dict[str, Any]:
    """Run every check and return the report as plain JSON values.

    If the dataset is the version's training data, faults are injected only into rows that the model
    was not fitted on, and the training is repeated and must give the same arrays. `on_step` is
    called with the name of each step before it begins. Raises DataError if there are too few valid
    rows.
    """
    manifest, detector = evaluated_version.version.manifest, evaluated_version.version.detector
    source = dataset.source  # raises DataError if no row is valid
    trainer_settings = settings_of(manifest)
    readings = sort_by_time(dataset.readings)
    if len(readings) < rows_needed(trainer_settings.calibration_share):
        raise DataError(
            f"{len(readings)} valid rows of {dataset.uri} are too few to evaluate on: at least "
            f"{rows_needed(trainer_settings.calibration_share)} are needed"
        )
    is_training_dataset = is_training_data(manifest, dataset)
    unseen_rows = _rows_to_inject(
        readings, detector, trainer_settings, is_training_data=is_training_dataset
    )
    detector_at_start = (
        _with_levels_of_training_start(readings, detector) if is_training_dataset else detector
    )
    steps: dict[str, Callable[[], Section]] = {
        "stability": lambda: alert_rate_section(readings, detector_at_start, trainer_settings),
        "correctness": lambda: path_consistency_section(
            readings, detector, lambda: evaluated_version.reload().detector
        ),
        "training": lambda: _training_section(
            evaluated_version.version,
            readings,
            dataset,
            trainer_settings,
            is_training_data=is_training_dataset,
        ),
        "alarms": lambda: alarm_budget_section(*unseen_rows),
        "failures": lambda: fault_detection_section(*unseen_rows, seed=manifest.seed),
    }
    sections = {}
    for number, (name, section_of) in enumerate(steps.items(), start=1):
        on_step(f"{name} ({number} of {len(steps)})")
        sections[name] = section_of()
    checks = [check for section in sections.values() for check in section.checks]
    return {
        "format": REPORT_FORMAT,
        "version": manifest.id,
        "passed": all(check.passed for check in checks),
        "failed": [check.name for check in checks if not check.passed],
        "data": {**source.model_dump(mode="json"), "is_training_data": is_training_dataset},
        "checks": [check.to_plain() for check in checks],
        **{name: section.figures for name, section in sections.items()},
    }


def settings_of(manifest: ModelManifest) -> TrainerSettings:
    """Return the settings with which a version was trained.

    A setting that the manifest does not contain gets its default value.
    """
    known_parameters = {
        name: value
        for name, value in manifest.parameters.items()
        if name in TrainerSettings.model_fields
    }
    return TrainerSettings(**known_parameters, seed=manifest.seed)


def is_training_data(manifest: ModelManifest, dataset: Dataset) -> bool:
    """Return whether the version with this manifest was trained on this dataset."""
    trained_source = manifest.data_source
    return trained_source.sha256 == dataset.sha256 and trained_source.rows == len(dataset.readings)


def _with_levels_of_training_start(readings: Readings, detector: Detector) -> Detector:
    """Return the detector with the levels that it had before its first training row.

    The levels of a trained detector were updated up to its last training row. To score the training
    rows again, the detector must start with the levels before these updates.
    """
    if detector.forecast is None:
        return detector
    filled_readings = model_rows(readings, detector.schema)
    levels = fit_levels(filled_readings, detector.schema, min_rows=detector.levels.min_rows)
    return replace(detector, levels=drop_sensors_with_few_rows(levels, filled_readings))


def _rows_to_inject(
    readings: Readings,
    detector: Detector,
    trainer_settings: TrainerSettings,
    *,
    is_training_data: bool,
) -> tuple[Readings, Detector]:
    """Return rows for fault injection, and a detector that was not fitted on these rows."""
    if not is_training_data:
        return readings, detector
    split = split_by_time(readings, trainer_settings.calibration_share)
    if detector.forecast is None:
        return split.calibration, detector
    # The version was fitted on all rows, so a new detector is fitted on the older rows.
    if len(split.fit) < rows_needed(trainer_settings.calibration_share):
        return readings, detector
    return split.calibration, fit_unregistered(split.fit, detector.schema, trainer_settings)


def _training_section(
    version: ModelVersion,
    readings: Readings,
    dataset: Dataset,
    trainer_settings: TrainerSettings,
    *,
    is_training_data: bool,
) -> Section:
    """Train the version again, and check the arrays and the compiled forest.

    If the rows and the library versions are the same, the arrays must equal the arrays of the
    version. The compiled forest must give the same scores as its scikit-learn estimator.
    """
    detector, manifest = version.detector, version.manifest
    must_reproduce = is_training_data and manifest.libraries == library_versions()
    checks: list[Check] = []
    candidate = train(readings, detector.schema, dataset.source, trainer_settings)
    retrained = candidate.detector(manifest.id)
    if must_reproduce:
        digests = {
            name: array_digest(retrained_array)
            for name, retrained_array in retrained.arrays().items()
        }
        checks.append(_reproduction_check(joint_digest(digests), manifest.arrays_digest))
    newest_rows = readings.take(slice(max(len(readings) - MAX_SKLEARN_AGREEMENT_ROWS, 0), None))
    checks.append(sklearn_agreement(retrained, candidate.estimator, newest_rows))
    return Section(tuple(checks), {"repeated": must_reproduce, "rows": len(newest_rows)})


def _reproduction_check(actual_digest: str, expected_digest: str) -> Check:
    return Check(
        "training.reproduced",
        actual_digest == expected_digest,
        f"same data and seed give arrays with digest {actual_digest[:16]}",
        f"the version's digest, {expected_digest[:16]}",
    )
