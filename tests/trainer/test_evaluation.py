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
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import NumericColumn, Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.trainer.evaluation import EvaluatedVersion, evaluate_version, trained_on
from sensorwatch.trainer.promotion_gate import failed_checks, require_passed
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


def evaluated(version: ModelVersion, readings: Readings | None = None) -> dict[str, Any]:
    return evaluate_version(EvaluatedVersion(version, lambda: version), a_dataset(readings))


@pytest.fixture(scope="module")
def report(version: ModelVersion) -> dict[str, Any]:
    return evaluated(version)


def test_a_sound_model_passes_every_check(report: dict[str, Any]) -> None:
    assert failed_checks(report) == []
    assert report["passed"] is True
    assert report["data"]["is_training_data"] is True
    assert {check["name"].split(".")[0] for check in report["checks"]} == {
        "stability",
        "correctness",
        "training",
        "failures",
    }
    require_passed(report)


def test_the_report_states_the_rates_their_bounds_and_every_fault(report: dict[str, Any]) -> None:
    assert report["stability"]["target_alert_rate"] == TRAINER_SETTINGS.target_alert_rate
    assert "at most 3 times" in report["stability"]["tolerance"]
    assert len(report["stability"]["folds"]) == 5
    assert len(report["stability"]["seeds"]) == 3
    measured = {(case["kind"], case["size"]) for case in report["failures"]["cases"]}
    assert {("spike", 8.0), ("drift", 4.0), ("stuck", 0.0), ("spike, one signal", 16.0)} <= measured


def test_larger_faults_are_found_more_surely_than_smaller_ones(report: dict[str, Any]) -> None:
    areas = {(case["kind"], case["size"]): case["roc_auc"] for case in report["failures"]["cases"]}

    assert areas["drift", 16.0] > areas["drift", 4.0]
    assert areas["noise_burst", 16.0] > areas["noise_burst", 4.0]


def never_alarms(detector: Detector) -> Detector:
    return replace(detector, calibration=replace(detector.calibration, threshold=1e9))


def always_alarms(detector: Detector) -> Detector:
    return replace(detector, calibration=replace(detector.calibration, threshold=0.0, centre=-1.0))


def scores_at_random(detector: Detector) -> Detector:
    lengths = np.random.default_rng(0).permutation(detector.forest.path_length)
    noisy = replace(detector, forest=replace(detector.forest, path_length=lengths))
    return uses_forest_only(noisy)


def uses_forest_only(detector: Detector) -> Detector:
    assert detector.decision is not None
    weights = np.asarray([float(table is RarityTable.FOREST) for table in COMPONENTS])
    return replace(detector, decision=replace(detector.decision, weights=weights))


@pytest.mark.parametrize(
    ("broken", "failed"),
    [
        (never_alarms, {"stability.whole", "failures.recall"}),
        (always_alarms, {"stability.whole", "stability.folds"}),
        (scores_at_random, {"failures.roc_auc"}),
        (uses_forest_only, {"failures.stuck"}),
    ],
)
def test_a_broken_model_fails_the_gate_by_name(
    version: ModelVersion, broken: BreakDetector, failed: set[str]
) -> None:
    """On rows that it was not trained on, so that it is itself what faults are shown to."""
    evaluated_version = ModelVersion(broken(version.detector), version.manifest)
    dataset = replace(a_dataset(simulated_readings(seed=1)), sha256="cd" * 32)

    report = evaluate_version(
        EvaluatedVersion(evaluated_version, lambda: evaluated_version), dataset
    )

    assert failed <= set(failed_checks(report))
    assert report["passed"] is False
    with pytest.raises(CheckFailed, match=min(failed)):
        require_passed(report)


def test_a_model_that_training_does_not_give_again_fails(version: ModelVersion) -> None:
    manifest = version.manifest.model_copy(update={"seed": version.manifest.seed + 1})

    report = evaluated(ModelVersion(version.detector, manifest))

    assert failed_checks(report) == ["training.reproduced"]


def test_training_rows_are_known_by_their_digest(version: ModelVersion) -> None:
    other = replace(a_dataset(simulated_readings(seed=1)), sha256="cd" * 32)

    assert trained_on(version.manifest, a_dataset())
    assert not trained_on(version.manifest, other)


def test_rows_that_came_to_lie_elsewhere_fail_the_alert_rate(version: ModelVersion) -> None:
    readings = simulated_readings()
    moved = replace(readings, values=readings.values + 30.0)
    dataset = replace(a_dataset(moved), sha256="cd" * 32)

    report = evaluate_version(EvaluatedVersion(version, lambda: version), dataset)

    assert {"stability.whole", "stability.folds"} <= set(failed_checks(report))
    assert report["data"]["is_training_data"] is False


@pytest.mark.parametrize(
    ("trainer_settings", "bounds"),
    [
        (PLAIN_SETTINGS, {"recall": 0.1, "roc_auc": 0.85}),
        (TRAINER_SETTINGS, {"recall": 0.8, "roc_auc": 0.95}),
    ],
    ids=["plain", "forecast"],
)
def test_a_plain_model_of_a_single_signal_is_held_to_less_and_the_report_says_so(
    report: dict[str, Any],
    tmp_path: Path,
    trainer_settings: TrainerSettings,
    bounds: dict[str, float],
) -> None:
    schema = Schema(signals=(NumericColumn(name="x1"),))
    readings = some_readings(2_000, signals=1, sensors=1)
    registry = Registry(tmp_path)
    candidate = train(readings, schema, a_dataset(readings).source, trainer_settings)
    registry.register("one", candidate, who="test", why="test")

    judged = evaluated(registry.load("one"), readings)

    few = judged["failures"]
    assert few["varying_signals"] == 1
    assert few["gated"] == {"kind": "spike", "size": 8.0} | bounds
    assert report["failures"]["gated"]["recall"] == 0.8
    assert not {"broken_correlation", "spike, one signal"} & {c["kind"] for c in few["cases"]}
    remembered = {"failures.level_shift", "failures.stuck"} & {c["name"] for c in judged["checks"]}
    assert len(remembered) == (0 if trainer_settings is PLAIN_SETTINGS else 2)
    assert not {name for name in failed_checks(judged) if name.startswith("failures")}


@pytest.mark.parametrize("rows", [40, 120])
def test_one_signal_and_few_rows_can_be_evaluated(rows: int, tmp_path: Path) -> None:
    schema = Schema(signals=(NumericColumn(name="x1"),))
    readings = some_readings(rows, signals=1, sensors=1)
    registry = Registry(tmp_path)
    candidate = train(readings, schema, a_dataset(readings).source, TRAINER_SETTINGS)
    registry.register("one", candidate, who="test", why="test")

    report = evaluated(registry.load("one"), readings)

    correct = [check for check in report["checks"] if check["name"].startswith("correctness")]
    assert all(check["passed"] for check in correct)
    json.dumps(report, allow_nan=False)
    print_report(report)


def test_signals_that_never_change_are_said_to_leave_nothing_to_inject(tmp_path: Path) -> None:
    flat = replace(some_readings(200), values=np.ones((200, 3)))
    registry = Registry(tmp_path)
    candidate = train(flat, a_schema(), a_dataset(flat).source, TRAINER_SETTINGS)
    registry.register("flat", candidate, who="test", why="test")

    report = evaluated(registry.load("flat"), flat)

    assert "failures.recall" in failed_checks(report)
    (check,) = [check for check in report["checks"] if check["name"] == "failures.recall"]
    assert "nothing to inject" in check["observed"]
    print_report(report)


@pytest.mark.slow
def test_rows_trained_on_are_judged_from_where_their_sensor_began_not_from_where_it_ended(
    tmp_path: Path,
) -> None:
    """A benign drift of 6 spreads: seen from its end, the beginning would be one long alarm."""
    steady = some_readings(3_000, sensors=1)
    moved = replace(steady, values=steady.values + np.linspace(0.0, 6.0, 3_000)[:, None])
    registry = Registry(tmp_path)
    candidate = train(moved, a_schema(), a_dataset(moved).source, TRAINER_SETTINGS)
    registry.register("drift", candidate, who="test", why="test")
    version = registry.load("drift")

    first, *_ = evaluated(version, moved)["stability"]["folds"]

    from_the_end = version.detector.detect(
        moved.take(slice(0, 600)), version.detector.empty_memory()
    )
    assert from_the_end.detections.is_anomaly.mean() > 0.1
    assert first["rate"] < first["highest"]


def test_too_few_rows_to_evaluate_on_are_refused(version: ModelVersion) -> None:
    with pytest.raises(DataError, match="5 valid rows of simulated are too few to evaluate on"):
        evaluated(version, some_readings(5))


def test_the_same_rows_give_the_same_report(version: ModelVersion, report: dict[str, Any]) -> None:
    assert evaluated(version) == report


def test_the_report_is_written_and_shown(
    report: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_report(tmp_path / "reports" / "report.json", report)
    print_report(report)

    written = json.loads((tmp_path / "reports" / "report.json").read_text(encoding="utf-8"))
    shown = capsys.readouterr().out
    assert written == report
    assert all(check["name"] in shown for check in report["checks"])
    assert len(case_frame(report)) == len(report["failures"]["cases"])
