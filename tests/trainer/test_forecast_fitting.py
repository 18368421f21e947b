"""The forecast of signals that move like random walks, and of signals around a level."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.model.forecast import N_LAGS
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.trainer.forecast_fitting import _fit_lags
from sensorwatch.trainer.unregistered_model import fit_with_memory
from tests.scoring.faulty import readings_from, schema_for


def coefficients_of(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the coefficients (signals, 1 + inputs) of a series (rows, signals) without context."""
    lagged = [values[N_LAGS - lag : -lag] for lag in range(1, N_LAGS + 1)]
    return _fit_lags(np.concatenate(lagged, axis=1), values[N_LAGS:])


def a_smooth_walk(rows: int, *, seed: int) -> NDArray[np.float64]:
    """Return a walk (rows,) whose steps are smooth."""
    steps = np.convolve(np.random.default_rng(seed).normal(size=rows + 199), np.ones(200) / 200)
    return steps[199 : rows + 199].cumsum()


def test_the_level_of_a_random_walk_does_not_matter_to_its_forecast() -> None:
    walks = [a_smooth_walk(1_000, seed=seed) for seed in (20, 21, 22)]
    signal = np.random.default_rng(2).normal(size=1_000)

    coefficients = coefficients_of(np.stack([*walks, signal], axis=1))

    sums = coefficients[:, 1:].sum(axis=1)
    # The free forecast of the first walk is good enough.
    assert sums[0] == pytest.approx(1.0, abs=2e-3)
    assert sums[1:3] == pytest.approx(1.0, abs=1e-12)
    assert abs(sums[3]) < 0.5


def test_few_rows_do_not_decide_that_a_signal_is_a_random_walk() -> None:
    walk = a_smooth_walk(150, seed=1)[:, np.newaxis]

    assert coefficients_of(walk)[0, 1:].sum() != pytest.approx(1.0, abs=1e-9)


def test_a_random_walk_far_from_its_training_levels_raises_few_alarms() -> None:
    walks = np.stack([a_smooth_walk(6_000, seed=seed) for seed in (3, 4)], axis=1)[:, np.newaxis]
    readings = readings_from(walks)
    detector, memory = fit_with_memory(
        readings.take(slice(0, 1_000)), schema_for(walks), TrainerSettings(trees=20)
    )
    rows = readings.take(slice(1_000, None))
    trained, later = walks[:1_000], walks[1_000:]
    assert (np.ptp(later, axis=0) > 2 * np.ptp(trained, axis=0)).any()

    detections = detector.detect(rows, memory, positions=rows.index).detections

    assert detections.is_anomaly.mean() < 0.15
