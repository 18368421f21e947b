"""A simulated stream depends only on its parameters, and its labels match its faults."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.common.simulation.sensors import noise_scale
from sensorwatch.common.simulation.stream import (
    FAULT_KINDS,
    START_TIME,
    Chunk,
    Simulation,
    simulate,
)

VALUE_FAULTS = tuple(
    kind for kind in FaultKind if kind not in (FaultKind.DROPOUT, FaultKind.MALFORMED)
)


def a_simulation(**changes: object) -> Simulation:
    default_simulation = Simulation(
        sensors=5, rows=20_000, chunk_rows=20_000, faults=FaultPlan(rate=0.002)
    )
    return replace(default_simulation, **changes)  # type: ignore[arg-type]  # `changes` can contain any field


def single_chunk(simulation: Simulation) -> Chunk:
    (chunk,) = simulate(replace(simulation, chunk_rows=10**9))
    return chunk


def column_bytes(chunk: Chunk) -> list[bytes]:
    column_names = ("event_time", "sensor", "values", "kind", "defect")
    return [getattr(chunk, name).tobytes() for name in column_names]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 300), st.integers(1, 3_000), st.integers(1, 5_000))
def test_the_same_simulation_gives_the_same_bits_for_any_chunk_size(
    seed: int, sensors: int, rows: int, chunk_rows: int
) -> None:
    simulation = a_simulation(seed=seed, sensors=sensors, rows=rows, chunk_rows=chunk_rows)

    chunks = list(simulate(simulation))

    joined_columns = [b"".join(column) for column in zip(*map(column_bytes, chunks), strict=True)]
    assert joined_columns == column_bytes(single_chunk(simulation))
    assert sum(map(len, chunks)) == rows
    assert {len(chunk) for chunk in chunks[:-1]} <= {chunk_rows}


def test_event_times_continue_across_blocks_and_chunks() -> None:
    simulation = a_simulation(rows=150_000, chunk_rows=7_777, faults=None)

    chunks = list(simulate(simulation))

    times = np.concatenate([chunk.event_time for chunk in chunks])
    assert (times == START_TIME + np.arange(150_000) // 5 * 1_000_000).all()


def test_a_longer_stream_starts_with_the_shorter_one() -> None:
    short_stream, long_stream = (
        single_chunk(a_simulation(rows=3_000)),
        single_chunk(a_simulation(rows=90_000)),
    )

    assert column_bytes(long_stream.slice_rows(0, 3_000)) == column_bytes(short_stream)


def test_chunks_of_an_endless_stream_are_computed_on_demand() -> None:
    chunks = simulate(a_simulation(rows=None, chunk_rows=100))

    assert [len(next(chunks)) for _ in range(3)] == [100, 100, 100]


def test_another_seed_gives_other_values() -> None:
    assert not (
        single_chunk(a_simulation(seed=1)).values == single_chunk(a_simulation(seed=2)).values
    ).any()


def test_rows_are_sorted_by_time_and_every_sensor_has_one_row_per_step() -> None:
    chunk = single_chunk(a_simulation(faults=None, interval_seconds=0.25, start=1_000))

    assert chunk.sensor_id[:6] == [*(f"sensor-{number:03d}" for number in range(5)), "sensor-000"]
    assert chunk.event_time[[0, 4, 5]].tolist() == [1_000, 1_000, 251_000]
    assert not any(chunk.label)


def test_signals_correlate_and_have_a_daily_cycle() -> None:
    values = single_chunk(
        a_simulation(sensors=1, rows=14_400, interval_seconds=60, faults=None)
    ).values

    noise = values - values.reshape(10, 1_440, 3).mean(axis=0)[np.arange(14_400) % 1_440]
    hourly_means = values.reshape(10, 24, 60, 3).mean(axis=(0, 2))
    assert (np.corrcoef(noise.T)[np.triu_indices(3, 1)] > 0.7).all()
    assert (np.ptp(hourly_means, axis=0) / noise_scale() > 2).all()


@pytest.mark.parametrize("kind", VALUE_FAULTS)
def test_exactly_the_changed_rows_are_labelled(kind: FaultKind) -> None:
    fault_plan = FaultPlan(rate=0.002, kinds=(kind,), size=6)

    healthy_chunk, faulty_chunk = (
        single_chunk(a_simulation(faults=None)),
        single_chunk(a_simulation(faults=fault_plan)),
    )

    is_changed = (healthy_chunk.values != faulty_chunk.values).any(axis=1)
    is_labelled = np.array([label == kind for label in faulty_chunk.label])
    assert is_labelled.any()
    assert (is_changed == is_labelled).all()


def test_a_spike_changes_every_signal_by_its_size_times_the_noise() -> None:
    fault_plan = FaultPlan(rate=0.002, kinds=(FaultKind.SPIKE,), size=6)

    healthy_chunk, faulty_chunk = (
        single_chunk(a_simulation(faults=None)),
        single_chunk(a_simulation(faults=fault_plan)),
    )

    change_in_noise_scales = (
        np.abs(faulty_chunk.values - healthy_chunk.values)[faulty_chunk.kind > 0] / noise_scale()
    )
    assert change_in_noise_scales == pytest.approx(6, abs=1e-5)


def test_a_dropout_removes_rows_of_one_sensor() -> None:
    fault_plan = FaultPlan(rate=0.001, kinds=(FaultKind.DROPOUT,))

    chunk = single_chunk(a_simulation(faults=fault_plan))

    steps_by_sensor = [
        np.diff(chunk.event_time[chunk.sensor == sensor]) // 1_000_000 for sensor in range(5)
    ]
    time_steps = np.concatenate(steps_by_sensor)
    gaps = time_steps[time_steps > 1]
    assert len(gaps) > 5
    assert gaps.min() >= 11
    assert gaps.max() <= 31
    assert len(chunk) == 20_000
    assert not any(chunk.label)


def test_faults_do_not_change_other_rows() -> None:
    fault_plan = FaultPlan(rate=0.002, kinds=(*VALUE_FAULTS, FaultKind.MALFORMED))

    healthy_chunk, faulty_chunk = (
        single_chunk(a_simulation(faults=None)),
        single_chunk(a_simulation(faults=fault_plan)),
    )

    has_healthy_values = np.isin(faulty_chunk.kind, [0, 1 + FAULT_KINDS.index(FaultKind.MALFORMED)])
    assert (healthy_chunk.values == faulty_chunk.values)[has_healthy_values].all()


def test_only_malformed_rows_have_a_defect() -> None:
    chunk = single_chunk(a_simulation(faults=FaultPlan(rate=0.01)))

    is_malformed = [label == FaultKind.MALFORMED for label in chunk.label]
    assert is_malformed == [defect is not None for defect in chunk.defects]
    assert any(is_malformed)


def test_the_rate_is_the_share_of_rows_at_which_a_fault_begins() -> None:
    fault_plan = FaultPlan(rate=0.01, kinds=(FaultKind.SPIKE,))

    faulty_share = np.mean(single_chunk(a_simulation(rows=100_000, faults=fault_plan)).kind > 0)

    assert faulty_share == pytest.approx(0.01, rel=0.15)
