"""Golden rows forgive the last bit of another machine, and nothing more."""

from dataclasses import replace

import numpy as np
import pytest

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.forest import score
from sensorwatch.common.registry.archive import Arrays
from sensorwatch.common.registry.golden_rows import check_golden_rows, golden_arrays
from sensorwatch.common.scoring.features import compute_features
from tests.reading_builders import a_candidate, a_detector, some_readings


def _golden() -> Arrays:
    return golden_arrays(a_detector(), a_candidate().golden)


@pytest.mark.parametrize("name", ["raw_score", "anomaly_score"])
def test_a_score_within_the_tolerance_is_taken_one_beyond_is_not(name: str) -> None:
    golden = _golden()
    high = int(np.argmax(golden["raw_score"]))

    golden[name][high] += 5e-10
    check_golden_rows(a_detector(), golden)

    golden[name][high] += 5e-8
    with pytest.raises(ModelRefused, match="1 of 50 golden rows"):
        check_golden_rows(a_detector(), golden)


def test_another_decision_is_refused() -> None:
    golden = _golden()
    golden["is_anomaly"][3] ^= True

    with pytest.raises(ModelRefused, match="1 of 50 golden rows"):
        check_golden_rows(a_detector(), golden)


def test_a_row_exactly_on_the_threshold_may_be_decided_by_the_last_bit() -> None:
    """The threshold is a calibration score, and golden rows are calibration rows."""
    detector, readings = a_detector(), some_readings(400)
    matrix = compute_features(readings, detector.plan)
    raw = score(detector.forest, matrix)
    (position,) = np.flatnonzero(raw == detector.calibration.threshold)
    golden = golden_arrays(detector, readings.take(slice(position, position + 1)))
    assert not golden["is_anomaly"][0]

    golden["is_anomaly"][0] = True

    check_golden_rows(detector, golden)


def test_a_calibration_of_nearly_equal_scores_is_compared_in_raw_units() -> None:
    """A raw difference of 1e-12 is 1e-4 in the anomaly score of so narrow a span."""
    detector = a_detector()
    threshold = detector.calibration.threshold
    narrow = replace(detector.calibration, centre=threshold - 1e-8)
    golden = golden_arrays(replace(detector, calibration=narrow), a_candidate().golden)
    high = int(np.argmax(golden["raw_score"]))
    golden["raw_score"][high] += 1e-12
    golden["anomaly_score"][high] += 1e-4

    check_golden_rows(replace(detector, calibration=narrow), golden)


@pytest.mark.parametrize("rows", [0, 201])
def test_no_rows_or_too_many_are_refused_at_registration(rows: int) -> None:
    with pytest.raises(ValueError, match="wanted 1 to 200"):
        golden_arrays(a_detector(), some_readings(rows))
