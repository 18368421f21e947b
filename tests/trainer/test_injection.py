from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.simulation.faults import VALUE_KINDS, FaultKind
from sensorwatch.trainer.fault_injection import FaultCase, Injected, inject_case, robust_spread
from tests.reading_builders import a_schema, some_readings

FAULT_KINDS = st.sampled_from(VALUE_KINDS)


def injected(
    kind: FaultKind, *, rows: int = 400, sensors: int = 2, size: float = 8.0, seed: int = 0
) -> Injected:
    return inject_case(
        some_readings(rows, sensors=sensors),
        FaultCase(kind, size),
        schema=a_schema(),
        rng=np.random.default_rng(seed),
        episodes=20,
    )


@settings(deadline=None)
@given(FAULT_KINDS, st.integers(1, 300), st.integers(1, 8), st.integers(0, 1_000))
def test_only_rows_called_faulty_are_changed_and_most_rows_are_not(
    kind: FaultKind, rows: int, sensors: int, seed: int
) -> None:
    found = injected(kind, rows=rows, sensors=sensors, seed=seed)

    before = some_readings(rows, sensors=sensors).values
    changed = (found.readings.values != before).any(axis=1)
    assert not (changed & ~found.faulty).any()
    assert found.faulty.sum() * 4 <= rows
    hit = [row for episode in found.episodes for row in episode.tolist()]
    assert sorted(hit) == np.flatnonzero(found.faulty).tolist()


@settings(deadline=None)
@given(FAULT_KINDS)
def test_an_episode_is_of_one_sensor_and_in_time_order(kind: FaultKind) -> None:
    found = injected(kind, sensors=5)

    assert found.episodes
    for rows in found.episodes:
        assert len(set(found.readings.sensor[rows].tolist())) == 1
        assert (np.diff(found.readings.event_time[rows]) > 0).all()


def test_a_spike_is_as_many_spreads_high_as_asked() -> None:
    found = injected(FaultKind.SPIKE, size=8.0)

    (row,) = found.episodes[0].tolist()
    step = np.abs(found.readings.values[row] - some_readings(400).values[row])
    np.testing.assert_allclose(step, 8.0 * robust_spread(some_readings(400)))


def test_values_stay_within_what_the_schema_allows() -> None:
    found = injected(FaultKind.SPIKE, size=1e6)

    assert np.abs(found.readings.values).max() == 1_000.0


def test_a_signal_that_never_changes_is_left_alone() -> None:
    readings = some_readings(400)
    values = readings.values.copy()
    values[:, 1] = 5.0

    found = inject_case(
        replace(readings, values=values),
        FaultCase(FaultKind.SPIKE, 8.0),
        schema=a_schema(),
        rng=np.random.default_rng(0),
        episodes=20,
    )

    assert (found.readings.values[:, 1] == 5.0).all()
    assert (found.readings.values[found.faulty][:, 0] != values[found.faulty][:, 0]).all()


@pytest.mark.parametrize("share", [0.0, 0.05])
def test_the_spread_is_not_moved_by_a_few_outliers(share: float) -> None:
    readings = some_readings(10_000)
    values = readings.values.copy()
    values[: int(share * len(values))] = 1e6

    np.testing.assert_allclose(robust_spread(replace(readings, values=values)), 1.0, rtol=0.1)


def test_missing_values_neither_count_in_the_spread_nor_keep_faults_away() -> None:
    readings = some_readings(400)
    values = readings.values.copy()
    values[::5, 1] = np.nan
    values[:, 2] = np.nan
    gappy = replace(readings, values=values)

    found = inject_case(
        gappy,
        FaultCase(FaultKind.NOISE_BURST, 8.0),
        schema=a_schema(),
        rng=np.random.default_rng(0),
        episodes=20,
    )

    assert robust_spread(gappy)[:2] == pytest.approx(1.0, rel=0.2)
    assert robust_spread(gappy)[2] == 0.0
    changed = found.readings.values != values
    assert (changed[:, 1] & ~np.isnan(values[:, 1])).any()
    np.testing.assert_array_equal(np.isnan(found.readings.values), np.isnan(values))


@settings(deadline=None)
@given(FAULT_KINDS, st.integers(1, 300), st.integers(0, 1_000))
def test_no_fault_comes_before_a_sensor_is_warm(kind: FaultKind, cold: int, seed: int) -> None:
    readings = some_readings(400)
    eligible = (readings.index >= cold) & (readings.sensor == 1)

    found = inject_case(
        readings,
        FaultCase(kind, 8.0),
        schema=a_schema(),
        rng=np.random.default_rng(seed),
        episodes=20,
        eligible=eligible,
    )

    assert found.episodes
    assert not (found.faulty & ~eligible).any()
