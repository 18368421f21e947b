"""A stored version is complete and is loaded unchanged."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import joblib
import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused, UsageError
from sensorwatch.common.registry.candidate import Candidate
from sensorwatch.common.registry.store import Registry
from tests.reading_builders import a_candidate, some_readings
from tests.registry.forging import NAME, WHO, a_registry, folder_of

ROOT = Path(__file__).parents[2]
CREATED_AT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_a_loaded_version_scores_bit_for_bit_as_the_candidate(tmp_path: Path) -> None:
    candidate = a_candidate()
    readings = some_readings(300, seed=99)

    loaded_detector = a_registry(tmp_path).load(NAME).detector

    expected_detections = (
        candidate.detector("x").detect(readings, candidate.detector("x").empty_memory()).detections
    )
    actual_detections = loaded_detector.detect(readings, loaded_detector.empty_memory()).detections
    assert actual_detections.raw_score.tobytes() == expected_detections.raw_score.tobytes()
    assert actual_detections.anomaly_score.tobytes() == expected_detections.anomaly_score.tobytes()
    assert actual_detections.p_value.tobytes() == expected_detections.p_value.tobytes()
    assert np.array_equal(actual_detections.severity, expected_detections.severity)
    assert loaded_detector.schema.to_plain() == candidate.schema.to_plain()
    assert loaded_detector.plan == candidate.plan


def test_the_first_version_is_the_champion_and_the_parent_of_the_next(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)

    first_version, second_version = registry.versions(NAME)

    assert registry.aliases(NAME) == {"champion": first_version.id}
    assert (first_version.parent, second_version.parent) == (None, first_version.id)
    assert (first_version.id[:13], second_version.id[:13]) == ("default-0001-", "default-0002-")


def test_the_manifest_records_data_seed_parameters_and_libraries(tmp_path: Path) -> None:
    registry = Registry(tmp_path, now=lambda: CREATED_AT)
    candidate = a_candidate()

    version = registry.register("pumps.north", candidate, who=WHO, why="test")

    manifest = registry.manifest("pumps.north", version)
    assert manifest.created == CREATED_AT
    assert manifest.schema_fingerprint == candidate.schema.fingerprint
    assert manifest.data_source == candidate.data_source
    assert (manifest.seed, manifest.parameters) == (candidate.seed, candidate.parameters)
    assert manifest.split == candidate.split
    assert manifest.calibration.threshold == candidate.calibration.threshold
    assert {"python", "numpy", "scikit-learn", "numba"} <= set(manifest.libraries)
    assert set(manifest.files) == {"arrays.npz", "golden.npz", "estimator.joblib"}


def test_joblib_loads_the_stored_estimator(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    folder = folder_of(tmp_path, registry.resolve(NAME, "champion"))

    estimator = joblib.load(folder / "estimator.joblib")

    assert len(estimator.estimators_) == a_candidate().forest.trees


def test_golden_rows_store_only_the_names_of_their_own_sensors(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    candidate = a_candidate()
    all_sensor_ids = tuple(f"sensor {number}" for number in range(10_000))
    golden_rows = replace(
        candidate.golden, sensor_ids=all_sensor_ids, sensor=candidate.golden.sensor + 5_000
    )

    registry.register(NAME, replace(candidate, golden=golden_rows), who=WHO, why="test")

    golden_file = registry.load(NAME).manifest.files["golden.npz"]
    assert golden_file.bytes < 20_000


@pytest.mark.slow
def test_two_processes_store_the_same_arrays_with_the_same_digest(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from tests.registry.forging import a_registry;"
        "registry = a_registry(Path(sys.argv[1]));"
        "print(registry.load('default').manifest.arrays_digest)"
    )
    digests = [_script_output(script, tmp_path / str(n), hash_seed=n) for n in (1, 2)]

    own_manifest = a_registry(tmp_path).load(NAME).manifest
    assert digests == [own_manifest.arrays_digest] * 2
    array_files = [
        tmp_path / n / "registry/default/versions" / own_manifest.id / "arrays.npz" for n in "12"
    ]
    assert len({path.read_bytes() for path in array_files}) == 1


def test_another_seed_gives_another_digest(tmp_path: Path) -> None:
    registry = a_registry(tmp_path, versions=2)

    first_version, second_version = registry.versions(NAME)

    assert first_version.arrays_digest != second_version.arrays_digest


def test_the_arrays_digest_does_not_depend_on_the_creation_time(tmp_path: Path) -> None:
    early_registry = Registry(tmp_path / "a", now=lambda: CREATED_AT)
    late_registry = Registry(tmp_path / "b", now=lambda: CREATED_AT.replace(year=2030))

    ids = {
        r.register(NAME, a_candidate(), who=WHO, why="test")
        for r in (early_registry, late_registry)
    }

    assert len(ids) == 1


@pytest.mark.parametrize(
    "name", ["", "Pumps", "../out", "a/b", ".hidden", "a" * 65, "a b", "ä", "-x"]
)
def test_a_model_name_that_could_leave_the_registry_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="not a model name"):
        Registry(tmp_path).load(name)


@pytest.mark.parametrize(
    "version_ref", ["latest", "../default-0001-00000000", "default-0009-00000000", ""]
)
def test_an_unknown_version_is_refused_with_the_known_versions(
    tmp_path: Path, version_ref: str
) -> None:
    registry = a_registry(tmp_path)

    with pytest.raises(ModelRefused, match=registry.resolve(NAME, "champion")):
        registry.load(NAME, version_ref)


def test_an_unknown_model_is_refused_with_the_known_models(tmp_path: Path) -> None:
    with pytest.raises(ModelRefused, match=r"its models: default\).*sensorwatch train"):
        a_registry(tmp_path).load("other")


def test_an_empty_registry_has_no_models_versions_or_aliases(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "none")

    assert (registry.names(), registry.versions(NAME), registry.aliases(NAME)) == ([], [], {})
    assert (registry.audit(NAME), registry.verify_audit(NAME)) == ([], [])
    with pytest.raises(ModelRefused, match="its models: none"):
        registry.prune(NAME, keep=1, who=WHO, why="test")
    assert not (tmp_path / "none").exists()


def test_a_candidate_that_cannot_be_loaded_is_not_stored(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    candidate = a_candidate(seed=8)
    left_children = candidate.forest.left.copy()
    left_children[0] = len(left_children) - 1  # the first tree points to a leaf of the last tree
    paths_before = sorted((tmp_path / "registry").rglob("*"))
    damaged_candidate = _with_left_children(candidate, left_children)

    with pytest.raises(ModelRefused, match='the array "left"'):
        registry.register(NAME, damaged_candidate, who=WHO, why="test")

    assert sorted((tmp_path / "registry").rglob("*")) == paths_before
    assert registry.verify_audit(NAME) == []


def test_attaching_reports_does_not_change_the_version(tmp_path: Path) -> None:
    registry = a_registry(tmp_path)
    version = registry.resolve(NAME, "champion")
    manifest = (folder_of(tmp_path, version) / "manifest.json").read_bytes()

    first_report = registry.attach_report(NAME, "champion", {"passed": False, "recall": 0.5})
    second_report = registry.attach_report(NAME, version, {"passed": True, "recall": 0.9})

    assert (first_report.name, second_report.name) == ("0001.json", "0002.json")
    assert json.loads(first_report.read_bytes())["recall"] == 0.5
    assert registry.report(NAME, version) == {"passed": True, "recall": 0.9}
    assert (folder_of(tmp_path, version) / "manifest.json").read_bytes() == manifest
    assert registry.verify(NAME, version) == []


@pytest.mark.parametrize("report", [{}, {"passed": "yes"}, {"passed": True, "x": float("nan")}])
def test_a_report_without_a_valid_result_is_refused(
    tmp_path: Path, report: dict[str, object]
) -> None:
    with pytest.raises(UsageError, match="a report must"):
        a_registry(tmp_path).attach_report(NAME, "champion", report)


def _with_left_children(candidate: Candidate, left_children: NDArray[np.int32]) -> Candidate:
    return replace(candidate, forest=replace(candidate.forest, left=left_children))


def _script_output(script: str, root: Path, *, hash_seed: int) -> str:
    environment = os.environ | {"PYTHONHASHSEED": str(hash_seed)}
    command = [sys.executable, "-c", script, str(root)]
    completed_process = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    return completed_process.stdout.strip()
