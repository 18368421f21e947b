"""Calibration: the threshold gets anomaly score 1.0, and p-values of clean rows are uniform."""

import math
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.model.calibration import (
    MAX_CALIBRATION_SCORES,
    Calibration,
    calibrate,
    calibration_from_arrays,
    p_values,
    to_anomaly_scores,
)


@dataclass(frozen=True)
class ScoredRows:
    anomaly_score: NDArray[np.float64]
    is_anomaly: NDArray[np.bool_]
    p_value: NDArray[np.float64]


def decide(raw_scores: NDArray[np.float64], calibration: Calibration) -> ScoredRows:
    """Return the decisions of a detector with the plain plan."""
    result = to_anomaly_scores(raw_scores, calibration)
    return ScoredRows(result.anomaly_score, result.above, p_values(raw_scores, calibration))


score_lists = st.lists(st.floats(0, 1), min_size=1, max_size=60).map(np.asarray)
rate_strategy = st.floats(0.001, 0.5)


def some_scores(count: int = 5_000, seed: int = 1) -> NDArray[np.float64]:
    return np.random.default_rng(seed).beta(4, 6, count)


@pytest.mark.parametrize("rate", [0.001, 0.005, 0.02, 0.5])
def test_the_target_share_of_scores_is_above_the_threshold(rate: float) -> None:
    scores = some_scores(10_000)

    calibration = calibrate(scores, rate)

    share_above = np.mean(scores > calibration.threshold)
    assert rate - 2e-4 <= share_above <= rate


def test_the_anomaly_score_is_one_at_the_threshold_and_zero_at_the_centre() -> None:
    calibration = calibrate(some_scores(), 0.01)

    detections = decide(np.asarray([calibration.threshold, calibration.centre]), calibration)

    assert detections.anomaly_score.tolist() == [1.0, 0.0]
    assert not detections.is_anomaly.any()


def test_the_next_float_above_the_threshold_is_anomalous() -> None:
    calibration = calibrate(some_scores(), 0.01)
    next_float = np.nextafter(calibration.threshold, 2.0)

    detections = decide(np.asarray([next_float]), calibration)

    assert detections.is_anomaly.all()
    assert detections.anomaly_score[0] > 1.0


@settings(max_examples=150, deadline=None)
@given(calibration_scores=score_lists, rate=rate_strategy, raw_scores=score_lists)
def test_a_row_is_anomalous_exactly_if_its_anomaly_score_is_above_one(
    calibration_scores: NDArray[np.float64], rate: float, raw_scores: NDArray[np.float64]
) -> None:
    calibration = calibrate(calibration_scores, rate)
    scores_near_threshold = np.asarray(
        [calibration.threshold, *np.nextafter(calibration.threshold, [-1.0, 2.0])]
    )
    raw_scores = np.concatenate([raw_scores, scores_near_threshold])

    detections = decide(raw_scores, calibration)

    assert np.array_equal(detections.is_anomaly, detections.anomaly_score > 1.0)
    assert np.array_equal(detections.is_anomaly, raw_scores > calibration.threshold)
    assert np.all(detections.anomaly_score >= 0)
    assert np.all((detections.p_value > 0) & (detections.p_value <= 1))


@settings(max_examples=100, deadline=None)
@given(calibration_scores=score_lists, rate=rate_strategy, raw_scores=score_lists)
def test_a_higher_raw_score_is_never_less_anomalous(
    calibration_scores: NDArray[np.float64], rate: float, raw_scores: NDArray[np.float64]
) -> None:
    detections = decide(np.sort(raw_scores), calibrate(calibration_scores, rate))

    assert np.all(np.diff(detections.anomaly_score) >= 0)
    assert np.all(np.diff(detections.p_value) <= 0)


def test_the_p_value_of_clean_rows_is_uniform() -> None:
    """The Kolmogorov-Smirnov distance of the p-values is below its 1 % critical value."""
    calibration = calibrate(some_scores(4_000, seed=1), 0.01)

    p_values = np.sort(decide(some_scores(4_000, seed=2), calibration).p_value)

    ks_distance = np.max(np.abs(p_values - np.arange(1, 4_001) / 4_000))
    assert ks_distance < 1.63 * math.sqrt(2 / 4_000)


def test_the_p_value_counts_calibration_scores_at_least_as_high() -> None:
    calibration = calibrate(np.asarray([0.1, 0.2, 0.2, 0.4]), 0.3)

    p_values = decide(np.asarray([0.05, 0.2, 0.3, 0.5]), calibration).p_value

    assert p_values.tolist() == [1.0, 4 / 5, 2 / 5, 1 / 5]


@pytest.mark.parametrize("value", [0.0, 0.4, 1.0])
def test_a_score_above_equal_calibration_scores_is_anomalous(value: float) -> None:
    calibration = calibrate(np.full(50, value), 0.01)

    detections = decide(np.asarray([value, value + 0.1]), calibration)

    assert detections.is_anomaly.tolist() == [False, True]
    assert detections.anomaly_score[0] == 1.0
    assert math.isfinite(detections.anomaly_score[1])


def test_thinning_the_stored_scores_does_not_change_the_threshold() -> None:
    scores = some_scores(MAX_CALIBRATION_SCORES + 7)

    calibration = calibrate(scores, 0.01)

    assert len(calibration.scores) == MAX_CALIBRATION_SCORES
    assert calibration.threshold == np.quantile(scores, 0.99, method="higher")
    assert (calibration.scores[0], calibration.scores[-1]) == (scores.min(), scores.max())


def test_calibrating_without_scores_is_an_error() -> None:
    with pytest.raises(ValueError, match="no calibration scores"):
        calibrate(np.empty(0), 0.01)


def test_a_calibration_is_restored_from_its_arrays() -> None:
    calibration = calibrate(some_scores(), 0.01)

    restored_calibration = calibration_from_arrays(calibration.arrays())

    raw_scores = some_scores(100, seed=3)
    assert decide(raw_scores, restored_calibration).anomaly_score.tobytes() == (
        decide(raw_scores, calibration).anomaly_score.tobytes()
    )


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("calibration_scores", np.asarray([0.3, 0.2])),
        ("calibration_scores", np.asarray([0.2, np.nan])),
        ("calibration_scores", np.asarray([0.2, np.inf])),
        ("calibration_scores", np.empty(0)),
        ("calibration_scores", np.asarray([[0.2]])),
        ("calibration_scores", np.asarray([0.2], dtype=np.float32)),
        ("calibration", np.asarray([0.5, 0.5, 0.1])),
        ("calibration", np.asarray([0.5, 0.6, 0.1])),
        ("calibration", np.asarray([np.nan, 0.2, 0.1])),
        ("calibration", np.asarray([0.5, 0.2, 0.0])),
        ("calibration", np.asarray([0.5, 0.2])),
        ("calibration", np.asarray([1, 0, 0])),
    ],
    ids=str,
)
def test_a_wrong_array_is_refused_by_its_name(name: str, array: NDArray[np.float64]) -> None:
    arrays = calibrate(some_scores(), 0.01).arrays()

    with pytest.raises(ModelRefused, match=f'the array "{name}" '):
        calibration_from_arrays({**arrays, name: array})


@pytest.mark.parametrize("name", ["calibration", "calibration_scores"])
def test_a_missing_array_is_refused(name: str) -> None:
    arrays = calibrate(some_scores(), 0.01).arrays()
    del arrays[name]

    with pytest.raises(ModelRefused, match=f'the array "{name}" is missing'):
        calibration_from_arrays(arrays)
