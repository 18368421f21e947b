"""Tests of the simulated faults, and of the counts of found faults."""

from collections import Counter

import numpy as np
import pytest

from benchmarks.quality.fault_slots import (
    FAULT_SIZES,
    HEALTHY_MARGIN_STEPS,
    SLOT_STEPS,
    PlacedFault,
    healthy_mask,
    place_faults,
)
from benchmarks.quality.simulated_fleet import load, measure, result_of_kind
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.common.simulation.sensors import noise_scale
from tests.benchmarks.test_streams import flagging_nothing


def test_each_slot_of_each_sensor_has_one_fault_between_healthy_rows() -> None:
    faults = place_faults(6, 5, np.random.default_rng(1))

    slots = Counter((fault.sensor, fault.start // SLOT_STEPS) for fault in faults)
    assert len(slots) == 30
    assert set(slots.values()) == {1}
    assert Counter(fault.kind for fault in faults) == dict.fromkeys(FAULT_SIZES, 5)
    for fault in faults:
        assert fault.start % SLOT_STEPS >= HEALTHY_MARGIN_STEPS
        assert fault.start % SLOT_STEPS + fault.length <= SLOT_STEPS - HEALTHY_MARGIN_STEPS


def test_equal_fleets_are_identical_and_faults_change_one_signal() -> None:
    fleet, same_fleet = load(sensors=3, slots=4), load(sensors=3, slots=4)
    values = fleet.grid.values[fleet.grid.train_steps :]

    assert values.tobytes() == same_fleet.grid.values[same_fleet.grid.train_steps :].tobytes()
    spikes = [fault for fault in fleet.faults if fault.kind is FaultKind.SPIKE]
    assert len(spikes) == 2
    for fault in spikes:
        neighbours = values[[fault.start - 1, fault.start + 1], fault.sensor].mean(axis=0)
        jump_in_sigmas = np.abs(values[fault.start, fault.sensor] - neighbours) / noise_scale()
        assert (jump_in_sigmas > 3).sum() == 1  # only the faulty signal jumps
    for fault in fleet.faults:
        if fault.kind is FaultKind.STUCK:
            rows = values[fault.start - 1 : fault.start + 30, fault.sensor]
            assert (np.ptp(rows, axis=0) == 0).sum() == 1


def test_only_an_alarm_in_the_rows_of_a_fault_finds_the_fault() -> None:
    alarmed = np.zeros((400, 2), dtype=np.bool_)
    fault_found_at_once = PlacedFault(FaultKind.STUCK, sensor=0, start=100, length=30)
    fault_found_later = PlacedFault(FaultKind.STUCK, sensor=0, start=200, length=30)
    missed_fault = PlacedFault(FaultKind.STUCK, sensor=1, start=200, length=30)
    alarmed[100, 0] = alarmed[208:220, 0] = True
    alarmed[199, 1] = alarmed[230, 1] = True  # just before and just after the fault
    alarmed[165, 1] = True  # in the healthy rows before the fault

    result = result_of_kind([fault_found_at_once, fault_found_later, missed_fault], alarmed)

    assert (result.episodes, result.delay) == (3, 4.0)
    assert result.recall == pytest.approx(2 / 3)
    assert result.recall_by_chance == pytest.approx(1 / 3)


def test_rows_near_faults_do_not_count_for_the_alert_rate() -> None:
    is_healthy = healthy_mask(
        [PlacedFault(FaultKind.STUCK, sensor=1, start=100, length=30)], 400, 2
    )

    assert is_healthy[:, 0].all()
    assert np.flatnonzero(~is_healthy[:, 1]).tolist() == list(
        range(100, 130 + HEALTHY_MARGIN_STEPS)
    )


def test_a_detector_that_never_alarms_finds_nothing() -> None:
    fleet = load(sensors=2, slots=3)

    run = measure(fleet, flagging_nothing())

    assert {kind.recall for kind in run.kinds.values()} == {0.0}
    assert run.alert_rate == 0.0
