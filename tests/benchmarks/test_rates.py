"""Tests of the clean streams, and of the alert rates that are measured on these streams."""

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.quality import alert_rates as rates
from benchmarks.quality.clean_streams import (
    DRIFT_PER_ROW,
    TRAIN_STEPS,
    CleanStreamKind,
    clean_stream,
)
from benchmarks.quality.compared_detectors import detector_with_settings
from benchmarks.quality.quality_targets import RATE_FACTOR
from benchmarks.quality.sensor_grid import MINUTES_PER_DAY
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from tests.benchmarks.test_streams import flagging_every

SIGNAL_SCALES = np.array([1.0, 5.0, 0.2, 30.0])


def scaled_values(kind: CleanStreamKind, *, seed: int = 0) -> NDArray[np.float64]:
    values_in_sigmas: NDArray[np.float64] = (
        clean_stream(kind, seed=seed, judged_steps=7_000).values / SIGNAL_SCALES
    )
    return values_in_sigmas


def test_kind_and_seed_determine_a_stream() -> None:
    for kind in CleanStreamKind:
        assert scaled_values(kind).tobytes() == scaled_values(kind).tobytes()
        assert (scaled_values(kind) != scaled_values(kind, seed=1)).any()


def test_noise_has_unit_variance_and_is_autocorrelated() -> None:
    noise = scaled_values(CleanStreamKind.PLAIN) - scaled_values(CleanStreamKind.PLAIN).mean(axis=0)

    assert noise.std() == pytest.approx(1.0, abs=0.05)
    assert (noise[1:] * noise[:-1]).mean() == pytest.approx(0.8, abs=0.05)
    assert (noise[..., 0] * noise[..., 1]).mean() == pytest.approx(0.49, abs=0.05)


def test_sensors_have_different_levels() -> None:
    assert scaled_values(CleanStreamKind.PLAIN).mean(axis=0).std(axis=0).min() > 1.0


def test_all_sensors_share_one_daily_cycle() -> None:
    days = TRAIN_STEPS // MINUTES_PER_DAY
    daily_mean = (
        scaled_values(CleanStreamKind.DAILY)[:TRAIN_STEPS]
        .reshape(days, MINUTES_PER_DAY, -1)
        .mean(axis=(0, 2))
    )

    assert np.ptp(daily_mean) > 2.0
    daily_mean_without_cycle = (
        scaled_values(CleanStreamKind.PLAIN)[:TRAIN_STEPS]
        .reshape(days, MINUTES_PER_DAY, -1)
        .mean(axis=(0, 2))
    )
    assert np.ptp(daily_mean_without_cycle) < 1.5


def test_drift_has_its_documented_rate() -> None:
    stream = scaled_values(CleanStreamKind.DRIFT)
    drift = stream[-MINUTES_PER_DAY:].mean(axis=0) - stream[:MINUTES_PER_DAY].mean(axis=0)

    expected_drift = DRIFT_PER_ROW * (len(stream) - MINUTES_PER_DAY)
    assert np.abs(drift) == pytest.approx(expected_drift, rel=0.2)
    assert set(np.sign(drift).ravel()) == {-1.0, 1.0}


def test_heavy_tails_have_larger_steps() -> None:
    def largest_step(kind: CleanStreamKind) -> float:
        steps = np.diff(scaled_values(kind), axis=0)
        return float(np.abs(steps).max() / steps.std())

    assert largest_step(CleanStreamKind.HEAVY_TAILS) > 15
    assert largest_step(CleanStreamKind.DAILY) < 8


def test_a_rate_is_the_alarmed_share_of_the_judged_rows() -> None:
    stream = clean_stream(CleanStreamKind.PLAIN, judged_steps=10).stream()

    (measured_rate,) = rates.measure([stream], flagging_every(50), 0.01)

    assert (measured_rate.rows, measured_rate.rate, measured_rate.ratio) == (100, 0.02, 2.0)


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind", [CleanStreamKind.DAILY, CleanStreamKind.DRIFT, CleanStreamKind.HEAVY_TAILS]
)
def test_clean_rows_alarm_about_as_often_as_configured(kind: CleanStreamKind) -> None:
    """The ratio is within the benchmark's factor. At the lowest rate, 30 alarms are expected."""
    stream = clean_stream(kind, judged_steps=3_000).stream()

    for rate in rates.CONFIGURED_RATES:
        trainer_settings = TrainerSettings(trees=50, target_alert_rate=rate)
        (measured_rate,) = rates.measure(
            [stream], detector_with_settings("default", trainer_settings), rate
        )
        assert 1 / RATE_FACTOR <= measured_rate.ratio <= RATE_FACTOR, measured_rate


def test_the_table_marks_rates_outside_the_factor() -> None:
    def measured_rate(rate: float) -> rates.MeasuredRate:
        return rates.MeasuredRate("ours", "plain", 0.01, rate, 1, 100)

    (row,) = rates.table(
        [measured_rate(0.0033), measured_rate(0.0034), measured_rate(0.03), measured_rate(0.0301)]
    ).rows

    assert [cell.endswith("!") for cell in row[2:]] == [True, False, False, True]
