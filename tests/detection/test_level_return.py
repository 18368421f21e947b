"""The alarm of a signal ends soon after the signal has returned to its reference level."""

import numpy as np
import pytest

from tests.detection.test_slow_changes import a_guarded_detector, detect, values_of

SHIFT_ROWS = 250
"""Fewer rows than the detector needs to accept a new level."""


@pytest.mark.parametrize("scales", [3.0, 5.0, 7.0])
def test_an_alarm_ends_soon_after_a_long_shift_is_over(scales: float) -> None:
    values = values_of(1_000, seed=11)
    end = 200 + SHIFT_ROWS
    values[200:end, 0, 0] += 2.0 * scales

    (result,) = detect(values)

    alarmed = result.detections.is_anomaly
    assert alarmed[210:end].all()
    assert alarmed[end + 30 :].mean() < 0.01


def test_a_location_does_not_follow_a_signal_that_is_away() -> None:
    values = values_of(700, seed=12)
    values[200 : 200 + SHIFT_ROWS, 0, 0] += 2.0 * 5.0

    (result,) = detect(values)

    location = result.detections.evidence.location[:, 0]
    assert (location[240:440] == location[240]).all()
    assert location[240] == pytest.approx(location[200], abs=0.3)
    assert location[490] == pytest.approx(location[200], abs=0.3)


def test_the_location_of_a_signal_that_is_away_does_not_depend_on_micro_batches() -> None:
    values = values_of(700, seed=13)
    values[200:400, 0, 1] += 0.1 * 6.0

    (result_in_one_batch,), result_in_batches = detect(values), detect(values, rows_per_batch=7)

    locations = [result.detections.evidence.location for result in result_in_batches]
    assert (
        np.concatenate(locations).tobytes()
        == result_in_one_batch.detections.evidence.location.tobytes()
    )


def test_an_accepted_level_keeps_its_location() -> None:
    values = values_of(1_200, seed=14)
    values[200:, 0, 0] += 2.0 * 5.0

    (result,) = detect(values)

    location = result.detections.evidence.location[:, 0]
    assert location[-1] == pytest.approx(60.0, abs=1.5)
    assert a_guarded_detector().levels.location[1, 0] == pytest.approx(50.0, abs=0.5)
