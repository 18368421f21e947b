"""Faults of angles and counters: a spread, the possible sizes, and the injected values."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.rows.field_declarations import ColumnKind, NumericColumn
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.command_line import run, typer_app
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.simulation.faults import FaultKind
from sensorwatch.trainer.evaluate_command import evaluate
from sensorwatch.trainer.fault_detection import fault_detection_section
from sensorwatch.trainer.fault_injection import FaultCase, InjectedFaults, inject_case
from sensorwatch.trainer.fault_rows import fault_rows
from sensorwatch.trainer.fault_sizes import fault_sizes
from sensorwatch.trainer.train_command import train
from sensorwatch.trainer.training import fit_unregistered
from tests.reading_builders import START_TIME, a_schema

Values = NDArray[np.float64]
METER = Schema(
    name="meter",
    signals=(
        NumericColumn(name="total", kind=ColumnKind.COUNTER),
        NumericColumn(name="voltage", min=0.0, max=300.0),
    ),
)
WIND = Schema(
    name="wind", signals=(NumericColumn(name="dir", wrap=360.0), NumericColumn(name="speed"))
)
ROWS = 600


def readings_of(values: Values, *, sensors: int = 1) -> Readings:
    """Return rows of the sensors in turn; each sensor has one row per minute."""
    rows = np.arange(len(values), dtype=np.int64)
    return Readings(
        rows,
        START_TIME + rows // sensors * 60_000_000,
        (rows % sensors).astype(np.int32),
        tuple(f"s{sensor}" for sensor in range(sensors)),
        values,
        np.empty((len(values), 0)),
    )


def noise(rows: int = ROWS, *, seed: int = 1) -> Values:
    return np.random.default_rng(seed).normal(size=rows)


def wind_readings(directions: Values, *, sensors: int = 1) -> Readings:
    speeds = 5.0 + noise(len(directions), seed=2)
    return readings_of(np.stack([directions % 360.0, speeds], axis=1), sensors=sensors)


def rate_readings() -> Readings:
    """Return the rates of a meter. They are near 0, so a decrease by 8 spreads is impossible."""
    return readings_of(np.stack([3.0 + noise(), 230.0 + noise(seed=2)], axis=1))


def inject(readings: Readings, schema: Schema, case: FaultCase) -> InjectedFaults:
    return inject_case(
        readings,
        case,
        sizes=fault_sizes(readings, schema),
        rng=np.random.default_rng(0),
        episodes=20,
    )


@pytest.mark.parametrize("sensors", [1, 3])
def test_the_spread_of_an_angle_is_that_of_its_steps_from_row_to_row(sensors: int) -> None:
    """Each sensor begins with its own direction and turns once around the circle."""
    rows = np.arange(3 * ROWS)
    turning = 360.0 * rows / len(rows) + 120.0 * (rows % sensors) + noise(len(rows))

    spread = fault_sizes(wind_readings(turning, sensors=sensors), WIND).spread[0]

    assert spread == pytest.approx(math.sqrt(2.0), rel=0.15)


@pytest.mark.parametrize(("size", "turn"), [(1.0, 2.0), (1e6, 180.0)])
def test_the_fault_of_an_angle_is_a_turn_of_at_most_half_a_circle(size: float, turn: float) -> None:
    sizes = fault_sizes(wind_readings(np.cumsum(2.0 * noise(20_000))), WIND)

    assert sizes.shifts(FaultKind.SPIKE, size)[0] == pytest.approx(turn, rel=0.05)


def test_a_spike_is_injected_only_into_signals_for_which_its_size_is_possible() -> None:
    readings = wind_readings(np.cumsum(20.0 * noise()))

    injected = inject(readings, WIND, FaultCase(FaultKind.SPIKE, 8.0, one_signal=True))

    assert [signals.tolist() for signals in injected.signals] == [[1]] * len(injected.episodes)
    np.testing.assert_array_equal(injected.readings.values[:, 0], readings.values[:, 0])


def test_a_fault_that_would_give_a_negative_rate_raises_the_rate_by_its_size() -> None:
    readings = rate_readings()
    spread = fault_sizes(readings, METER).spread

    injected = inject(readings, METER, FaultCase(FaultKind.SPIKE, 8.0))

    change = (injected.readings.values - readings.values)[injected.faulty]
    np.testing.assert_allclose(change[:, 0], 8.0 * spread[0])
    np.testing.assert_allclose(np.abs(change[:, 1]), 8.0 * spread[1])
    assert (change[:, 1] < 0).any()


def test_a_stuck_counter_has_a_rate_of_0_and_a_stuck_voltage_repeats_its_value() -> None:
    readings = rate_readings()

    injected = inject(readings, METER, FaultCase(FaultKind.STUCK, 0.0))

    assert injected.episodes
    for rows in injected.episodes:
        assert (injected.readings.values[rows, 0] == 0.0).all()
        assert (injected.readings.values[rows, 1] == readings.values[rows[0] - 1, 1]).all()


def test_a_random_direction_is_named_and_does_not_hide_the_faults_of_the_speed() -> None:
    readings = wind_readings(np.random.default_rng(3).uniform(0.0, 360.0, ROWS))
    detector = fit_unregistered(readings, WIND, TrainerSettings(min_rows=50, trees=20))

    section = fault_detection_section(readings, detector, seed=0)

    (sentence,) = section.figures["undetectable"]
    assert sentence.startswith(
        "signal dir: spikes of 8 spreads cannot be seen, because its changes"
    )
    (check,) = [check for check in section.checks if check.name == "failures.spike_of_one_signal"]
    assert check.passed
    assert check.observed.endswith("over 60 episodes: speed 1.00")


def test_training_warns_of_a_random_direction(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SENSORWATCH__TRAINER__TREES", "20")
    (tmp_path / "schema.toml").write_text(
        '[[signals]]\nname = "dir"\nwrap = 360\n[[signals]]\nname = "speed"\n', encoding="utf-8"
    )
    readings = wind_readings(np.random.default_rng(3).uniform(0.0, 360.0, ROWS))
    rows = zip(readings.event_time.tolist(), readings.values.tolist(), strict=True)
    lines = [f"{format_instant(time)},{angle},{speed}" for time, (angle, speed) in rows]
    text = "\n".join(["timestamp,dir,speed", *lines])
    (tmp_path / "rows.csv").write_text(f"{text}\n", encoding="utf-8")
    app = typer_app()
    app.command()(train)
    app.command()(evaluate)

    exit_code = run(
        app,
        [
            *("train", "--data", f"{tmp_path}/rows.csv", "--schema", f"{tmp_path}/schema.toml"),
            *("--registry", f"{tmp_path}/registry", "--name", "wind", "--promote"),
        ],
        name="trainer",
    )

    assert exit_code == 0
    assert "warning trainer  signal dir: spikes of 8 spreads cannot be seen" in (
        capsys.readouterr().err
    )


def test_measurements_and_missing_angles_need_no_other_spread() -> None:
    """A missing direction has no step. Without `wrap`, the spread is that of the values."""
    directions = np.cumsum(2.0 * noise(4 * ROWS))
    directions[::7] = np.nan
    sizes = fault_sizes(wind_readings(directions), WIND)

    assert sizes.spread[0] == pytest.approx(2.0, rel=0.1)
    assert sizes.spread[1] == sizes.value_spread[1]
    readings = replace(rate_readings(), values=np.stack([noise(), noise(), noise()], axis=1))
    default_sizes = fault_sizes(readings, a_schema())
    np.testing.assert_array_equal(default_sizes.spread, default_sizes.value_spread)


def test_fault_rows_have_rates_and_angles_that_do_not_wrap_around() -> None:
    directions = 350.0 + 5.0 * noise(ROWS)
    readings = wind_readings(directions)
    detector = fit_unregistered(readings, WIND, TrainerSettings(min_rows=50, trees=20))

    rows, detector_of_rows = fault_rows(readings, detector)

    assert np.ptp(rows.values[:, 0]) < 60.0
    np.testing.assert_allclose(rows.values[:, 0] % 360.0, readings.values[:, 0])
    np.testing.assert_array_equal(
        detector_of_rows.detect(rows, detector_of_rows.empty_memory()).detections.is_anomaly,
        detector.detect(readings, detector.empty_memory()).detections.is_anomaly,
    )
