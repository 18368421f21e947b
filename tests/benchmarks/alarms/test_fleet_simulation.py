"""Tests of the faults of the simulated fleet."""

from collections import Counter

import numpy as np

from benchmarks.quality.alarms.fleet_simulation import (
    DRIFT_ROWS,
    DRIFT_SIZE,
    clean_fleet,
    drifting_fleet,
    faulty_fleet,
    true_faults,
)
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.common.simulation.sensors import noise_scale
from sensorwatch.common.simulation.stream import FAULT_KINDS

SPIKE, DRIFT, DROPOUT = (
    1 + FAULT_KINDS.index(kind) for kind in (FaultKind.SPIKE, FaultKind.DRIFT, FaultKind.DROPOUT)
)


def test_runs_of_a_kind_are_faults_of_their_sensor_unless_the_kind_changes_no_values() -> None:
    kind = np.array([[0, SPIKE], [DRIFT, 0], [DRIFT, SPIKE], [SPIKE, DROPOUT]], dtype=np.int8)
    sensor = np.tile(np.arange(2, dtype=np.int32), 4)

    faults = true_faults(np.repeat(np.arange(4) * 10, 2), sensor, kind.ravel())

    spans = [(fault.name, fault.sensor, fault.first_time, fault.last_time) for fault in faults]
    assert spans == [
        ("drift", 0, 10, 20),
        ("spike", 0, 30, 30),
        ("spike", 1, 0, 0),
        ("spike", 1, 20, 20),
    ]


def test_the_faulty_fleet_differs_from_the_clean_fleet_only_in_faulty_rows() -> None:
    clean, faulty = clean_fleet(0, sensors=5), faulty_fleet(0, sensors=5)

    clean_values = clean.readings.values[faulty.readings.index]
    changed = (clean_values != faulty.readings.values).any(axis=1)
    assert faulty.readings.index.min() >= clean.train_rows
    assert faulty.faults
    for row in np.flatnonzero(changed):
        assert any(
            fault.sensor == faulty.readings.sensor[row]
            and fault.first_time <= faulty.readings.event_time[row] <= fault.last_time
            for fault in faulty.faults
        )


def test_a_drift_changes_one_signal_and_ends_at_its_full_size() -> None:
    clean = clean_fleet(0, sensors=3)

    drifting = drifting_fleet(clean, seed=0)

    judged = clean.judged
    difference = (drifting.readings.values - judged.values) / noise_scale()
    assert Counter(fault.sensor for fault in drifting.faults) == {0: 2, 1: 2, 2: 2}
    for fault in drifting.faults:
        is_of_fault = (
            (judged.sensor == fault.sensor)
            & (judged.event_time >= fault.first_time)
            & (judged.event_time <= fault.last_time)
        )
        sizes = np.sort(np.abs(difference[is_of_fault][-1]))
        assert is_of_fault.sum() == DRIFT_ROWS
        assert sizes[:2].tolist() == [0.0, 0.0]
        assert np.isclose(sizes[2], DRIFT_SIZE)
        difference[is_of_fault] = 0.0
    assert not difference.any()
