"""The evaluation report: its checks of sound models and of broken models, and its output."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from sensorwatch.common.errors import CheckFailed, DataError
from sensorwatch.common.model.decision import COMPONENTS, RarityTable
from sensorwatch.common.registry.manifest import ModelVersion
from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.field_declarations import NumericColumn
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.trainer.evaluation import EvaluatedVersion, evaluate_version, is_training_data
from sensorwatch.trainer.evaluation_check import failed_checks, require_passed
from sensorwatch.trainer.report_output import case_frame, print_report, write_report
from sensorwatch.trainer.training import train
from tests.reading_builders import a_schema, some_readings
from tests.trainer.training_builders import (
    PLAIN_SETTINGS,
    TRAINER_SETTINGS,
    a_dataset,
    a_trained_candidate,
    simulated_readings,
)

BreakDetector = Callable[[Detector], Detector]


@pytest.fixture(scope="module")
def version(tmp_path_factory: pytest.TempPathFactory) -> ModelVersion:
    registry = Registry(tmp_path_factory.mktemp("registry"))
    registry.register("default", a_trained_candidate(), who="test", why="test")
    return registry.load("default")


def evaluate(
    version: ModelVersion,
    readings: Readings | None = None,
    *,
    on_step: Callable[[str], object] = lambda _step: None,
) -> dict[str, Any]:
    evaluated_version = EvaluatedVersion(version, lambda: version)
    return evaluate_version(evaluated_version, a_dataset(readings), on_step=on_step)


@pytest.fixture(scope="module")
def steps() -> list[str]:
    """Return a list to which `report` adds the steps of its evaluation."""
    return []


@pytest.fixture(scope="module")
def report(version: ModelVersion, steps: list[str]) -> dict[str, Any]:
    return evaluate(version, on_step=steps.append)


def test_each_step_is_announced(report: dict[str, Any], steps: list[str]) -> None:
    assert [step.split()[0] for step in steps] == list(report)[-5:]
    assert steps[-1] == "failures (5 of 5)"


def test_a_sound_model_passes_every_check(report: dict[str, Any]) -> None:
    assert failed_checks(report) == []
    assert report["passed"] is True
    assert report["data"]["is_training_data"] is True
    assert {check["name"].split(".")[0] for check in report["checks"]} == {
        "stability",
        "correctness",
        "training",
        "alarms",
        "failures",
    }
    require_passed(report)


def test_the_report_contains_the_rates_their_bounds_and_every_fault(report: dict[str, Any]) -> None:
    assert report["stability"]["target_alert_rate"] == TRAINER_SETTINGS.target_alert_rate
    assert "at most 3 times" in report["stability"]["tolerance"]
    assert len(report["stability"]["folds"]) == 5
    assert len(report["stability"]["seeds"]) == 3
    measured_cases = {(case["kind"], case["size"]) for case in report["failures"]["cases"]}
    assert {
        ("spike", 8.0),
        ("drift", 4.0),
        ("stuck", 0.0),
        ("spike, one signal", 16.0),
    } <= measured_cases


def test_the_report_counts_the_alarm_episodes_of_unseen_rows_by_severity(
    report: dict[str, Any],
) -> None:
    alarms = report["alarms"]

    assert alarms["budgets"] == {"warning": 0.1, "major": 0.03, "critical": 0.01}
    assert alarms["episodes"].keys() == alarms["budgets"].keys()
    assert alarms["sensor_days"] > 0


def test_larger_faults_have_a_larger_roc_auc(report: dict[str, Any]) -> None:
    roc_auc = {
        (case["kind"], case["size"]): case["roc_auc"] for case in report["failures"]["cases"]
    }

    assert roc_auc["drift", 16.0] > roc_auc["drift", 4.0]
    assert roc_auc["noise_burst", 16.0] > roc_auc["noise_burst", 4.0]


def make_never_alarm(detector: Detector) -> Detector:
    return replace(detector, calibration=replace(detector.calibration, threshold=1e9))


def make_always_alarm(detector: Detector) -> Detector:
    return replace(detector, calibration=replace(detector.calibration, threshold=0.0, centre=-1.0))


def randomise_scores(detector: Detector) -> Detector:
    path_lengths = np.random.default_rng(0).permutation(detector.forest.path_length)
    random_forest = replace(detector.forest, path_length=path_lengths)
    return use_forest_only(replace(detector, forest=random_forest))


def use_forest_only(detector: Detector) -> Detector:
    assert detector.decision is not None
    weights = np.asarray([float(table is RarityTable.FOREST) for table in COMPONENTS])
    return replace(detector, decision=replace(detector.decision, weights=weights))


@pytest.mark.parametrize(
    ("break_detector", "failed_names"),
    [
        (make_never_alarm, {"stability.whole", "failures.recall"}),
        (make_always_alarm, {"stability.whole", "stability.folds"}),
        (randomise_scores, {"failures.roc_auc"}),
        (use_forest_only, {"failures.stuck"}),
    ],
)
def test_a_broken_model_fails_the_gate_with_the_names_of_its_checks(
    version: ModelVersion, break_detector: BreakDetector, failed_names: set[str]
) -> None:
    """The rows are new; a newly fitted detector would score faults in training rows."""
    broken_version = ModelVersion(break_detector(version.detector), version.manifest)
    dataset = replace(a_dataset(simulated_readings(seed=1)), sha256="cd" * 32)

    report = evaluate_version(EvaluatedVersion(broken_version, lambda: broken_version), dataset)

    assert failed_names <= set(failed_checks(report))
    assert report["passed"] is False
    with pytest.raises(CheckFailed, match=min(failed_names)):
        require_passed(report)


def test_a_model_that_training_does_not_reproduce_fails(version: ModelVersion) -> None:
    manifest = version.manifest.model_copy(update={"seed": version.manifest.seed + 1})

    report = evaluate(ModelVersion(version.detector, manifest))

    assert failed_checks(report) == ["training.reproduced"]


def test_training_rows_are_recognised_by_their_digest(version: ModelVersion) -> None:
    other_dataset = replace(a_dataset(simulated_readings(seed=1)), sha256="cd" * 32)

    assert is_training_data(version.manifest, a_dataset())
    assert not is_training_data(version.manifest, other_dataset)


def test_rows_at_another_level_fail_the_alert_rate_checks(version: ModelVersion) -> None:
    readings = simulated_readings()
    shifted_readings = replace(readings, values=readings.values + 30.0)
    dataset = replace(a_dataset(shifted_readings), sha256="cd" * 32)

    report = evaluate_version(EvaluatedVersion(version, lambda: version), dataset)

    assert {"stability.whole", "stability.folds"} <= set(failed_checks(report))
    assert report["data"]["is_training_data"] is False


@pytest.mark.parametrize(
    ("trainer_settings", "expected_bounds"),
    [
        (PLAIN_SETTINGS, {"recall": 0.1, "roc_auc": 0.85}),
        (TRAINER_SETTINGS, {"recall": 0.8, "roc_auc": 0.95}),
    ],
    ids=["plain", "forecast"],
)
def test_a_plain_model_of_one_signal_has_lower_bounds_which_the_report_states(
    report: dict[str, Any],
    tmp_path: Path,
    trainer_settings: TrainerSettings,
    expected_bounds: dict[str, float],
) -> None:
    schema = Schema(signals=(NumericColumn(name="x1"),))
    readings = some_readings(2_000, signals=1, sensors=1)
    registry = Registry(tmp_path)
    candidate = train(readings, schema, a_dataset(readings).source, trainer_settings)
    registry.register("one", candidate, who="test", why="test")

    one_signal_report = evaluate(registry.load("one"), readings)

    failure_section = one_signal_report["failures"]
    assert failure_section["varying_signals"] == 1
    assert failure_section["gated"] == {"kind": "spike", "size": 8.0} | expected_bounds
    assert report["failures"]["gated"]["recall"] == 0.8
    assert not {"broken_correlation", "spike, one signal"} & {
        case["kind"] for case in failure_section["cases"]
    }
    check_names = {check["name"] for check in one_signal_report["checks"]}
    memory_checks = {"failures.level_shift", "failures.stuck"} & check_names
    assert len(memory_checks) == (0 if trainer_settings is PLAIN_SETTINGS else 2)
    assert not {name for name in failed_checks(one_signal_report) if name.startswith("failures")}


@pytest.mark.parametrize("rows", [40, 120])
def test_one_signal_and_few_rows_can_be_evaluated(rows: int, tmp_path: Path) -> None:
    schema = Schema(signals=(NumericColumn(name="x1"),))
    readings = some_readings(rows, signals=1, sensors=1)
    registry = Registry(tmp_path)
    candidate = train(readings, schema, a_dataset(readings).source, TRAINER_SETTINGS)
    registry.register("one", candidate, who="test", why="test")

    report = evaluate(registry.load("one"), readings)

    correctness_checks = [
        check for check in report["checks"] if check["name"].startswith("correctness")
    ]
    assert all(check["passed"] for check in correctness_checks)
    json.dumps(report, allow_nan=False)
    print_report(report)


def test_signals_that_never_change_fail_the_recall_check_with_a_reason(tmp_path: Path) -> None:
    constant_readings = replace(some_readings(200), values=np.ones((200, 3)))
    registry = Registry(tmp_path)
    candidate = train(
        constant_readings, a_schema(), a_dataset(constant_readings).source, TRAINER_SETTINGS
    )
    registry.register("flat", candidate, who="test", why="test")

    report = evaluate(registry.load("flat"), constant_readings)

    assert "failures.recall" in failed_checks(report)
    (check,) = [check for check in report["checks"] if check["name"] == "failures.recall"]
    assert "no fault injected" in check["observed"]
    print_report(report)


@pytest.mark.slow
def test_training_rows_are_scored_from_the_levels_at_the_start_of_training(
    tmp_path: Path,
) -> None:
    """The rows drift by 6 spreads, so scoring from the final levels would raise many alarms."""
    readings = some_readings(3_000, sensors=1)
    drifting_readings = replace(
        readings,
        values=readings.values + np.linspace(0.0, 6.0, 3_000)[:, None],
    )
    registry = Registry(tmp_path)
    candidate = train(
        drifting_readings, a_schema(), a_dataset(drifting_readings).source, TRAINER_SETTINGS
    )
    registry.register("drift", candidate, who="test", why="test")
    version = registry.load("drift")

    first_fold, *_ = evaluate(version, drifting_readings)["stability"]["folds"]

    result_from_last_levels = version.detector.detect(
        drifting_readings.take(slice(0, 600)), version.detector.empty_memory()
    )
    assert result_from_last_levels.detections.is_anomaly.mean() > 0.1
    assert first_fold["rate"] < first_fold["highest"]


def test_too_few_rows_to_evaluate_on_are_refused(version: ModelVersion) -> None:
    with pytest.raises(DataError, match="5 valid rows of simulated are too few to evaluate on"):
        evaluate(version, some_readings(5))


def test_the_same_rows_give_the_same_report(version: ModelVersion, report: dict[str, Any]) -> None:
    assert evaluate(version) == report


def test_the_report_is_written_and_printed(
    report: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report(tmp_path / "reports" / "report.json", report)
    print_report(report)

    stored_report = json.loads((tmp_path / "reports" / "report.json").read_text(encoding="utf-8"))
    output = capsys.readouterr().out
    assert stored_report == report
    assert all(check["name"] in output for check in report["checks"])
    assert len(case_frame(report)) == len(report["failures"]["cases"])
