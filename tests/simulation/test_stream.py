"""A simulated stream follows from its description alone, and its labels tell the truth."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.simulation.fault_plan import FaultPlan
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.common.simulation.sensors import noise_scale
from sensorwatch.common.simulation.stream import FAULT_KINDS, START, Chunk, Simulation, simulate

VALUE_FAULTS = tuple(
    kind for kind in FaultKind if kind not in (FaultKind.DROPOUT, FaultKind.MALFORMED)
)


def a_simulation(**changes: object) -> Simulation:
    plain = Simulation(sensors=5, rows=20_000, chunk_rows=20_000, faults=FaultPlan(rate=0.002))
    return replace(plain, **changes)  # type: ignore[arg-type]  # the builder's point


def whole(simulation: Simulation) -> Chunk:
    (chunk,) = simulate(replace(simulation, chunk_rows=10**9))
    return chunk


def columns(chunk: Chunk) -> list[bytes]:
    names = ("event_time", "sensor", "values", "kind", "defect")
    return [getattr(chunk, name).tobytes() for name in names]


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 300), st.integers(1, 3_000), st.integers(1, 5_000))
def test_the_same_simulation_gives_the_same_bits_however_it_is_cut(
    seed: int, sensors: int, rows: int, chunk_rows: int
) -> None:
    simulation = a_simulation(seed=seed, sensors=sensors, rows=rows, chunk_rows=chunk_rows)

    chunks = list(simulate(simulation))

    joined = [b"".join(parts) for parts in zip(*map(columns, chunks), strict=True)]
    assert joined == columns(whole(simulation))
    assert sum(map(len, chunks)) == rows
    assert {len(chunk) for chunk in chunks[:-1]} <= {chunk_rows}


def test_rows_cross_the_seams_of_spans_without_a_trace() -> None:
    simulation = a_simulation(rows=150_000, chunk_rows=7_777, faults=None)

    chunks = list(simulate(simulation))

    times = np.concatenate([chunk.event_time for chunk in chunks])
    assert (times == START + np.arange(150_000) // 5 * 1_000_000).all()


def test_a_longer_stream_begins_with_the_shorter_one() -> None:
    short, long = whole(a_simulation(rows=3_000)), whole(a_simulation(rows=90_000))

    assert columns(long.slice_rows(0, 3_000)) == columns(short)


def test_a_stream_without_an_end_is_lazy() -> None:
    chunks = simulate(a_simulation(rows=None, chunk_rows=100))

    assert [len(next(chunks)) for _ in range(3)] == [100, 100, 100]


def test_another_seed_is_another_stream() -> None:
    assert not (whole(a_simulation(seed=1)).values == whole(a_simulation(seed=2)).values).any()


def test_rows_come_by_time_and_every_sensor_once_per_step() -> None:
    chunk = whole(a_simulation(faults=None, interval_seconds=0.25, start=1_000))

    assert chunk.sensor_id[:6] == [*(f"sensor-{number:03d}" for number in range(5)), "sensor-000"]
    assert chunk.event_time[[0, 4, 5]].tolist() == [1_000, 1_000, 251_000]
    assert not any(chunk.label)


def test_signals_correlate_and_follow_the_day() -> None:
    values = whole(a_simulation(sensors=1, rows=14_400, interval_seconds=60, faults=None)).values

    noise = values - values.reshape(10, 1_440, 3).mean(axis=0)[np.arange(14_400) % 1_440]
    hourly = values.reshape(10, 24, 60, 3).mean(axis=(0, 2))
    assert (np.corrcoef(noise.T)[np.triu_indices(3, 1)] > 0.7).all()
    assert (np.ptp(hourly, axis=0) / noise_scale() > 2).all()


@pytest.mark.parametrize("kind", VALUE_FAULTS)
def test_labels_stand_exactly_where_values_changed(kind: FaultKind) -> None:
    plan = FaultPlan(rate=0.002, kinds=(kind,), size=6)

    healthy, faulty = whole(a_simulation(faults=None)), whole(a_simulation(faults=plan))

    changed = (healthy.values != faulty.values).any(axis=1)
    labelled = np.array([label == kind for label in faulty.label])
    assert labelled.any()
    assert (changed == labelled).all()


def test_a_spike_moves_every_signal_by_its_size_times_the_noise() -> None:
    plan = FaultPlan(rate=0.002, kinds=(FaultKind.SPIKE,), size=6)

    healthy, faulty = whole(a_simulation(faults=None)), whole(a_simulation(faults=plan))

    moved = np.abs(faulty.values - healthy.values)[faulty.kind > 0] / noise_scale()
    assert moved == pytest.approx(6, abs=1e-5)


def test_a_dropout_is_a_silence_of_one_sensor() -> None:
    plan = FaultPlan(rate=0.001, kinds=(FaultKind.DROPOUT,))

    chunk = whole(a_simulation(faults=plan))

    silences = [
        np.diff(chunk.event_time[chunk.sensor == sensor]) // 1_000_000 for sensor in range(5)
    ]
    steps = np.concatenate(silences)
    gaps = steps[steps > 1]
    assert len(gaps) > 5
    assert gaps.min() >= 11
    assert gaps.max() <= 31
    assert len(chunk) == 20_000
    assert not any(chunk.label)


def test_faults_leave_the_rows_around_them_as_they_were() -> None:
    plan = FaultPlan(rate=0.002, kinds=(*VALUE_FAULTS, FaultKind.MALFORMED))

    healthy, faulty = whole(a_simulation(faults=None)), whole(a_simulation(faults=plan))

    untouched = np.isin(faulty.kind, [0, 1 + FAULT_KINDS.index(FaultKind.MALFORMED)])
    assert (healthy.values == faulty.values)[untouched].all()


def test_only_malformed_rows_have_a_defect() -> None:
    chunk = whole(a_simulation(faults=FaultPlan(rate=0.01)))

    malformed = [label == FaultKind.MALFORMED for label in chunk.label]
    assert malformed == [defect is not None for defect in chunk.defects]
    assert any(malformed)


def test_the_rate_is_the_share_of_rows_at_which_a_fault_begins() -> None:
    plan = FaultPlan(rate=0.01, kinds=(FaultKind.SPIKE,))

    share = np.mean(whole(a_simulation(rows=100_000, faults=plan)).kind > 0)

    assert share == pytest.approx(0.01, rel=0.15)
