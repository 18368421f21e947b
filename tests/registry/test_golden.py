"""Scores of golden rows may differ by another machine's rounding errors, but not by more."""

from dataclasses import replace

import numpy as np
import pytest

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.forest import score
from sensorwatch.common.registry.archive import Arrays
from sensorwatch.common.registry.golden_rows import check_golden_rows, golden_arrays
from sensorwatch.common.scoring.features import compute_features
from tests.reading_builders import a_candidate, a_detector, some_readings


def _golden_arrays() -> Arrays:
    return golden_arrays(a_detector(), a_candidate().golden)


@pytest.mark.parametrize("name", ["raw_score", "anomaly_score"])
def test_a_score_is_accepted_only_within_the_tolerance(name: str) -> None:
    golden = _golden_arrays()
    highest_row = int(np.argmax(golden["raw_score"]))

    golden[name][highest_row] += 5e-10
    check_golden_rows(a_detector(), golden)

    golden[name][highest_row] += 5e-8
    with pytest.raises(ModelRefused, match="1 of 50 golden rows"):
        check_golden_rows(a_detector(), golden)


def test_a_changed_decision_is_refused() -> None:
    golden = _golden_arrays()
    golden["is_anomaly"][3] ^= True

    with pytest.raises(ModelRefused, match="1 of 50 golden rows"):
        check_golden_rows(a_detector(), golden)


def test_a_row_exactly_on_the_threshold_may_be_decided_by_the_last_bit() -> None:
    """The threshold is the score of a calibration row, and that row can also be a golden row."""
    detector, readings = a_detector(), some_readings(400)
    features = compute_features(readings, detector.plan)
    raw_scores = score(detector.forest, features)
    (position,) = np.flatnonzero(raw_scores == detector.calibration.threshold)
    golden = golden_arrays(detector, readings.take(slice(position, position + 1)))
    assert not golden["is_anomaly"][0]

    golden["is_anomaly"][0] = True

    check_golden_rows(detector, golden)


def test_a_calibration_of_nearly_equal_scores_is_compared_in_raw_units() -> None:
    """The scores span 1e-8, so a raw difference of 1e-12 changes the anomaly score by 1e-4."""
    detector = a_detector()
    threshold = detector.calibration.threshold
    narrow_calibration = replace(detector.calibration, centre=threshold - 1e-8)
    golden = golden_arrays(replace(detector, calibration=narrow_calibration), a_candidate().golden)
    highest_row = int(np.argmax(golden["raw_score"]))
    golden["raw_score"][highest_row] += 1e-12
    golden["anomaly_score"][highest_row] += 1e-4

    check_golden_rows(replace(detector, calibration=narrow_calibration), golden)


@pytest.mark.parametrize("rows", [0, 201])
def test_too_few_or_too_many_golden_rows_are_refused(rows: int) -> None:
    with pytest.raises(ValueError, match="wanted 1 to 200"):
        golden_arrays(a_detector(), some_readings(rows))
