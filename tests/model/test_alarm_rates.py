"""The rate of false episodes by their peak score, and the severities that follow from the rate."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.alarm_rates import (
    AlarmRates,
    alarm_rates_from_arrays,
    count_met_budgets,
    false_episodes_per_day,
    level_episodes_per_day,
)

MINUTE = 60_000_000.0
RATES = AlarmRates(4.0, 0.01, 1.2, 0.1, MINUTE, np.asarray([0.1, 0.03, 0.01]))


@kernel
def _rates_of_peaks(tail, cadence, peaks, rates):  # type: ignore[no-untyped-def]
    for index in range(len(peaks)):
        rates[index] = false_episodes_per_day(tail, cadence, peaks[index])


@kernel
def _severities(budgets, rates, severities):  # type: ignore[no-untyped-def]
    for index in range(len(rates)):
        severities[index] = count_met_budgets(budgets, rates[index])


@kernel
def _level_rate(cadence, score):  # type: ignore[no-untyped-def]
    return level_episodes_per_day(cadence, score)


def rates_of(rates: AlarmRates, peaks: list[float], cadence: float = MINUTE) -> NDArray[np.float64]:
    result = np.empty(len(peaks))
    _rates_of_peaks(rates.tail, cadence, np.asarray(peaks), result)
    return result


@pytest.mark.parametrize("shape", [0.0, 0.1, 0.3])
def test_the_rate_falls_with_the_peak_and_is_continuous_at_the_start(shape: float) -> None:
    peaks = [0.0, 3.999_999, 4.0, 4.000_001, 8.0, 9.9, 50.0, 1e6]

    rates = rates_of(replace(RATES, shape=shape), peaks)

    assert np.all(np.diff(rates) <= 0)
    assert np.isfinite(rates).all()
    assert rates[2] == pytest.approx(0.01 * 1_440)
    assert rates[1] == pytest.approx(rates[3], rel=1e-4)


def test_a_sensor_with_fewer_rows_has_fewer_false_episodes() -> None:
    assert rates_of(RATES, [9.0], 600e6)[0] == pytest.approx(rates_of(RATES, [9.0])[0] / 10)


def test_the_severity_is_the_number_of_budgets_that_are_not_exceeded() -> None:
    severities = np.empty(5, dtype=np.int64)

    _severities(RATES.budgets, np.asarray([0.2, 0.1, 0.03, 0.01, 0.0]), severities)

    assert severities.tolist() == [0, 1, 2, 3, 3]


def test_a_level_has_one_independent_value_per_thirty_rows() -> None:
    assert _level_rate(MINUTE, 0.0) == pytest.approx(1_440 / 30)


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("alarm_rates", np.asarray([4.0, 0.0, 1.0, 0.0, MINUTE])),
        ("alarm_rates", np.asarray([4.0, 0.1, 1.0, 0.5, MINUTE])),
        ("alarm_rates", np.asarray([4.0, 0.1, 1.0, 0.0, 0.0])),
        ("alarm_budgets", np.asarray([0.1, 0.2, 0.01])),
        ("alarm_budgets", np.asarray([0.1, 0.03, 0.0])),
    ],
)
def test_wrong_arrays_are_refused(name: str, array: NDArray[Any]) -> None:
    assert alarm_rates_from_arrays(RATES.arrays()).tail == RATES.tail

    with pytest.raises(ModelRefused, match=name):
        alarm_rates_from_arrays(RATES.arrays() | {name: array})
