"""Injected faults change only the labelled rows, by the requested size."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.simulation.faults import VALUE_KINDS, FaultKind
from sensorwatch.trainer.fault_injection import FaultCase, InjectedFaults, inject_case
from sensorwatch.trainer.fault_sizes import fault_sizes, robust_spread
from tests.reading_builders import a_schema, some_readings

FAULT_KINDS = st.sampled_from(VALUE_KINDS)


def inject_faults(
    kind: FaultKind, *, rows: int = 400, sensors: int = 2, size: float = 8.0, seed: int = 0
) -> InjectedFaults:
    readings = some_readings(rows, sensors=sensors)
    return inject_case(
        readings,
        FaultCase(kind, size),
        sizes=fault_sizes(readings, a_schema()),
        rng=np.random.default_rng(seed),
        episodes=20,
    )


@settings(deadline=None)
@given(FAULT_KINDS, st.integers(1, 300), st.integers(1, 8), st.integers(0, 1_000))
def test_only_faulty_rows_are_changed_and_most_rows_are_healthy(
    kind: FaultKind, rows: int, sensors: int, seed: int
) -> None:
    injected_faults = inject_faults(kind, rows=rows, sensors=sensors, seed=seed)

    original_values = some_readings(rows, sensors=sensors).values
    is_changed = (injected_faults.readings.values != original_values).any(axis=1)
    assert not (is_changed & ~injected_faults.faulty).any()
    assert injected_faults.faulty.sum() * 4 <= rows
    episode_rows = [row for episode in injected_faults.episodes for row in episode.tolist()]
    assert sorted(episode_rows) == np.flatnonzero(injected_faults.faulty).tolist()


@settings(deadline=None)
@given(FAULT_KINDS)
def test_an_episode_has_rows_of_one_sensor_in_time_order(kind: FaultKind) -> None:
    injected_faults = inject_faults(kind, sensors=5)

    assert injected_faults.episodes
    for rows in injected_faults.episodes:
        assert len(set(injected_faults.readings.sensor[rows].tolist())) == 1
        assert (np.diff(injected_faults.readings.event_time[rows]) > 0).all()


def test_a_spike_has_the_requested_size_in_spreads() -> None:
    injected_faults = inject_faults(FaultKind.SPIKE, size=8.0)

    (row,) = injected_faults.episodes[0].tolist()
    value_change = np.abs(injected_faults.readings.values[row] - some_readings(400).values[row])
    np.testing.assert_allclose(
        value_change, 8.0 * fault_sizes(some_readings(400), a_schema()).spread
    )


def test_values_stay_within_the_bounds_of_the_schema() -> None:
    injected_faults = inject_faults(FaultKind.SPIKE, size=1e6)

    assert np.abs(injected_faults.readings.values).max() == 1_000.0


def test_a_signal_that_never_changes_gets_no_fault() -> None:
    readings = some_readings(400)
    values = readings.values.copy()
    values[:, 1] = 5.0

    readings = replace(readings, values=values)
    injected_faults = inject_case(
        readings,
        FaultCase(FaultKind.SPIKE, 8.0),
        sizes=fault_sizes(readings, a_schema()),
        rng=np.random.default_rng(0),
        episodes=20,
    )

    assert (injected_faults.readings.values[:, 1] == 5.0).all()
    assert (
        injected_faults.readings.values[injected_faults.faulty][:, 0]
        != values[injected_faults.faulty][:, 0]
    ).all()


@pytest.mark.parametrize("outlier_share", [0.0, 0.05])
def test_the_robust_spread_is_hardly_changed_by_a_few_outliers(outlier_share: float) -> None:
    readings = some_readings(10_000)
    values = readings.values.copy()
    values[: int(outlier_share * len(values))] = 1e6

    for signal in values.T:
        assert robust_spread(signal) == pytest.approx(1.0, rel=0.1)


def test_missing_values_are_ignored_by_the_spread_and_by_injection() -> None:
    readings = some_readings(400)
    values = readings.values.copy()
    values[::5, 1] = np.nan
    values[:, 2] = np.nan
    readings_with_missing = replace(readings, values=values)

    injected_faults = inject_case(
        readings_with_missing,
        FaultCase(FaultKind.NOISE_BURST, 8.0),
        sizes=fault_sizes(readings_with_missing, a_schema()),
        rng=np.random.default_rng(0),
        episodes=20,
    )

    spread = fault_sizes(readings_with_missing, a_schema()).spread
    assert spread[:2] == pytest.approx(1.0, rel=0.2)
    assert spread[2] == 0.0
    is_changed = injected_faults.readings.values != values
    assert (is_changed[:, 1] & ~np.isnan(values[:, 1])).any()
    np.testing.assert_array_equal(np.isnan(injected_faults.readings.values), np.isnan(values))


@settings(deadline=None)
@given(FAULT_KINDS, st.integers(1, 300), st.integers(0, 1_000))
def test_no_fault_starts_before_a_sensors_first_eligible_row(
    kind: FaultKind, first_row: int, seed: int
) -> None:
    readings = some_readings(400)
    is_eligible = (readings.index >= first_row) & (readings.sensor == 1)

    injected_faults = inject_case(
        readings,
        FaultCase(kind, 8.0),
        sizes=fault_sizes(readings, a_schema()),
        rng=np.random.default_rng(seed),
        episodes=20,
        eligible=is_eligible,
    )

    assert injected_faults.episodes
    assert not (injected_faults.faulty & ~is_eligible).any()
