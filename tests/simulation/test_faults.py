"""An injected fault changes the requested rows by the requested size."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from sensorwatch.common.simulation.faults import VALUE_KINDS, FaultKind, inject_fault

NOISE_SCALE = np.array([1.0, 2.0, 0.5])


def sensor_values(rows: int = 400, seed: int = 7) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    common_noise = rng.standard_normal((rows, 1))
    noise = 0.9 * common_noise + np.sqrt(1 - 0.81) * rng.standard_normal((rows, 3))
    values: NDArray[np.float64] = np.array([20.0, 50.0, -10.0]) + NOISE_SCALE * noise
    return values


def correlation_matrix(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.corrcoef(values.T))


def inject_with_defaults(
    values: NDArray[np.float64],
    kind: FaultKind,
    *,
    first_row: int = 100,
    length: int = 50,
    size: float = 6.0,
    signals: list[int] | None = None,
    seed: int = 1,
) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    return inject_fault(
        values,
        kind,
        first_row=first_row,
        length=length,
        size=size,
        scale=NOISE_SCALE,
        rng=rng,
        signals=signals,
    )


@settings(deadline=None)
@given(
    kind=st.sampled_from(VALUE_KINDS),
    first_row=st.integers(1, 398),  # a broken correlation needs a row before the fault
    length=st.integers(2, 120),
    seed=st.integers(0, 99),
)
def test_only_the_rows_of_the_fault_change(
    kind: FaultKind, first_row: int, length: int, seed: int
) -> None:
    values = sensor_values()

    faulty_values = inject_with_defaults(
        values, kind, first_row=first_row, length=length, seed=seed
    )

    changed_rows = np.flatnonzero((faulty_values != values).any(axis=1)).tolist()
    assert changed_rows == list(range(first_row, min(first_row + length, 400)))
    assert (values == sensor_values()).all()


@pytest.mark.parametrize("kind", [FaultKind.SPIKE, FaultKind.LEVEL_SHIFT])
@pytest.mark.parametrize("size", [2.0, 6.0, 15.0])
def test_a_shift_has_the_requested_size_in_standard_deviations(
    kind: FaultKind, size: float
) -> None:
    values = sensor_values()

    value_change = (inject_with_defaults(values, kind, size=size) - values)[100:150] / NOISE_SCALE

    assert np.abs(value_change) == pytest.approx(size)
    assert len(np.unique(np.sign(value_change))) == 1


def test_a_drift_grows_linearly_to_its_size() -> None:
    values = sensor_values()

    value_change = np.abs(
        inject_with_defaults(values, FaultKind.DRIFT, length=50, size=5.0) - values
    )[100:150]

    assert value_change / NOISE_SCALE == pytest.approx(np.outer(np.arange(1, 51) / 10, np.ones(3)))


def test_the_size_of_a_noise_burst_is_its_standard_deviation() -> None:
    values = sensor_values(20_000)

    added_noise = (
        inject_with_defaults(values, FaultKind.NOISE_BURST, first_row=1, length=19_999, size=4.0)
        - values
    )

    assert added_noise[1:].std(axis=0) / NOISE_SCALE == pytest.approx(4.0, rel=0.03)
    assert added_noise[1:].mean(axis=0) / NOISE_SCALE == pytest.approx(0.0, abs=0.15)


def test_a_stuck_sensor_repeats_the_previous_row() -> None:
    values = sensor_values()

    faulty_values = inject_with_defaults(values, FaultKind.STUCK)

    assert (faulty_values[100:150] == values[99]).all()


def test_a_broken_correlation_inverts_the_correlation_of_one_signal_but_not_its_spread() -> None:
    values = sensor_values(2_000)

    faulty_values = inject_with_defaults(
        values, FaultKind.BROKEN_CORRELATION, first_row=1, length=1_999, size=1.0
    )

    (signal,) = np.flatnonzero((faulty_values != values).any(axis=0))
    other_signals = [column for column in range(3) if column != signal]
    assert (correlation_matrix(values)[signal, other_signals] > 0.7).all()
    assert (correlation_matrix(faulty_values[1:])[signal, other_signals] < -0.9).all()
    assert faulty_values[:, signal].std() == pytest.approx(values[:, signal].std(), rel=0.1)


def test_only_the_requested_signals_change() -> None:
    values = sensor_values()

    for kind in VALUE_KINDS:
        faulty_values = inject_with_defaults(values, kind, signals=[1])
        assert np.flatnonzero((faulty_values != values).any(axis=0)).tolist() == [1]


def test_the_same_generator_gives_the_same_fault() -> None:
    values = sensor_values()

    for kind in VALUE_KINDS:
        assert (
            inject_with_defaults(values, kind, seed=3) == inject_with_defaults(values, kind, seed=3)
        ).all()


@pytest.mark.parametrize(
    ("kind", "first_row", "message"),
    [
        (FaultKind.DROPOUT, 5, "changes no values"),
        (FaultKind.MALFORMED, 5, "changes no values"),
        (FaultKind.STUCK, 0, "row 0 has none"),
        (FaultKind.SPIKE, 400, "not within"),
        (FaultKind.SPIKE, -1, "not within"),
    ],
)
def test_an_impossible_fault_is_an_error(kind: FaultKind, first_row: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        inject_with_defaults(sensor_values(), kind, first_row=first_row)


def test_a_broken_correlation_of_one_signal_is_an_error() -> None:
    with pytest.raises(ValueError, match="two signals"):
        inject_fault(
            sensor_values()[:, :1],
            FaultKind.BROKEN_CORRELATION,
            first_row=1,
            length=20,
            size=1.0,
            scale=NOISE_SCALE[:1],
            rng=np.random.default_rng(0),
        )
