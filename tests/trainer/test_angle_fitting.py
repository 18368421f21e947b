"""Training treats equal steps on the circle equally at every direction."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.trainer.level_fitting import fit_levels
from sensorwatch.trainer.model_rows import model_rows
from sensorwatch.trainer.training import fit_unregistered
from tests.trainer.test_fault_sizes import WIND, Values, noise, wind_readings

ROWS = 2_000
FAULTY_ROWS = range(ROWS - 400, ROWS - 1, 20)


def directions_about(mean: float) -> Values:
    return mean + 5.0 * noise(ROWS, seed=4)


@cache
def fitted(mean: float) -> Detector:
    readings = wind_readings(directions_about(mean))
    return fit_unregistered(readings, WIND, TrainerSettings(min_rows=50, trees=20))


@pytest.mark.parametrize("mean", [0.0, 45.0, 90.0])
def test_sine_and_cosine_have_one_scale_that_does_not_depend_on_the_direction(mean: float) -> None:
    readings = model_rows(wind_readings(directions_about(mean)), WIND)

    scale = fit_levels(readings, WIND, min_rows=50).scale

    np.testing.assert_array_equal(scale[:, 0], scale[:, 1])
    np.testing.assert_allclose(scale[:, 0], np.radians(5.0), rtol=0.1)


@pytest.mark.parametrize("mean", [0.0, 45.0])
def test_a_residual_of_an_angle_is_whitened_equally_in_every_direction(mean: float) -> None:
    forecast = fitted(mean).forecast

    assert forecast is not None
    covariance = np.linalg.inv(forecast.whitening @ forecast.whitening)
    np.testing.assert_allclose(covariance[0, 1], 0.0, atol=1e-9)
    np.testing.assert_allclose(covariance[0, 0], covariance[1, 1])


@pytest.mark.parametrize("mean", [0.0, 45.0])
def test_an_angle_does_not_hide_spikes_of_the_other_signal(mean: float) -> None:
    """The cosine of angles near 0 has a long tail on one side. This tail must not hide a spike."""
    detector = fitted(mean)
    readings = wind_readings(directions_about(mean))
    found_spikes = 0

    for row in FAULTY_ROWS:
        values = readings.values.copy()
        values[row, 1] += 8.0
        detections = detector.detect(
            replace(readings, values=values), detector.empty_memory()
        ).detections
        found_spikes += bool(detections.is_anomaly[row])

    assert found_spikes >= 0.95 * len(FAULTY_ROWS)
