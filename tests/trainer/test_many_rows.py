"""Training on more rows than a fit or a threshold needs: the bound is patched, so that few do."""

from dataclasses import fields, replace

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import Layout
from sensorwatch.common.scoring.recall import Recalled, recall
from sensorwatch.trainer import cross_validation as folds
from sensorwatch.trainer.cross_validation import out_of_fold_scores
from sensorwatch.trainer.level_fitting import fit_levels, max_gap
from sensorwatch.trainer.recall_rows import recall_selected
from sensorwatch.trainer.row_subsampling import RUN_ROWS, WARM_UP_ROWS, SensorRows, sample_rows
from sensorwatch.trainer.scorer_fitting import FitResult, fit_and_recall
from sensorwatch.trainer.training import train
from sensorwatch.trainer.unregistered_model import fit_with_memory
from tests.reading_builders import a_schema
from tests.trainer.training_builders import TRAINER_SETTINGS, a_dataset, simulated_readings

PATCHED_MAX_ROWS = 5_000
HOUR = 3_600_000_000


@pytest.fixture(autouse=True)
def patched_max_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorwatch.trainer.row_subsampling.MAX_FIT_ROWS", PATCHED_MAX_ROWS)
    monkeypatch.setattr("sensorwatch.trainer.level_fitting.MAX_FIT_ROWS", PATCHED_MAX_ROWS)


def interleaved_rows(rows: int, sensors: int) -> SensorRows:
    return SensorRows((np.arange(rows) % sensors).astype(np.int32))


def readings_of_many_sensors(sensors: int, rows: int = 30_000, *, seed: int = 0) -> Readings:
    """Sensors in turns, each at a level of its own: noise that remembers the row before."""
    random = np.random.default_rng(seed)
    steps = -(-rows // sensors)
    values = random.normal(size=(steps, sensors, 3))
    for step in range(1, steps):
        values[step] = 0.6 * values[step - 1] + 0.8 * values[step]
    values += 10.0 * random.normal(size=(1, sensors, 3))
    number = np.arange(rows, dtype=np.int64)
    return Readings(
        number,
        1_735_689_600_000_000 + 1_000_000 * (number // sensors),
        (number % sensors).astype(np.int32),
        tuple(f"s{sensor:05d}" for sensor in range(sensors)),
        values.reshape(-1, 3)[:rows],
        np.empty((rows, 0)),
    )


@pytest.mark.parametrize("sensors", [1, 7, 100, 5_000])
def test_as_many_rows_as_wanted_are_chosen_from_every_part_of_the_time(sensors: int) -> None:
    chosen = sample_rows(interleaved_rows(100_000, sensors), seed=0)

    parts = chosen.reshape(5, -1).sum(axis=1)
    assert 0.9 * PATCHED_MAX_ROWS <= chosen.sum() <= 1.1 * PATCHED_MAX_ROWS
    assert parts.min() >= 0.7 * PATCHED_MAX_ROWS / 5


def test_no_sensor_is_preferred() -> None:
    streams = interleaved_rows(100_000, 5)

    counts = np.bincount(streams.sensor[sample_rows(streams, seed=0)])

    assert counts.min() >= 0.5 * PATCHED_MAX_ROWS / 5


def test_what_is_chosen_are_whole_stretches_of_a_sensor_s_rows() -> None:
    streams = interleaved_rows(100_000, 5)
    chosen = sample_rows(streams, seed=0)

    for sensor in range(5):
        own = chosen[streams.sensor == sensor].reshape(-1, RUN_ROWS)
        assert (own.all(axis=1) == own.any(axis=1)).all()


def test_up_to_the_bound_every_row_is_chosen() -> None:
    assert sample_rows(interleaved_rows(PATCHED_MAX_ROWS, 5), seed=0).all()
    assert not sample_rows(interleaved_rows(PATCHED_MAX_ROWS + 1_000, 5), seed=0).all()


def test_another_seed_chooses_others_and_another_numbering_of_sensors_does_not() -> None:
    streams = interleaved_rows(50_000, 5)
    chosen = sample_rows(streams, seed=0)

    np.testing.assert_array_equal(sample_rows(SensorRows(4 - streams.sensor), seed=0), chosen)
    assert not np.array_equal(sample_rows(streams, seed=1), chosen)


def test_what_warms_a_stretch_are_the_sensor_s_own_rows_before_it() -> None:
    streams = interleaved_rows(600, 3)
    rows = np.zeros(600, dtype=np.bool_)
    rows[300:330:3] = True

    warm_up_mask = np.flatnonzero(streams.warm_up_mask(rows))

    np.testing.assert_array_equal(warm_up_mask, 300 - 3 * np.arange(WARM_UP_ROWS, 0, -1))


def test_a_row_is_recalled_with_the_rows_that_were_really_before_it() -> None:
    """Lags never join two stretches: what is known of a row is what it is if all are kept."""
    readings = readings_of_many_sensors(7, 45_000)
    kept = sample_rows(SensorRows(readings.sensor), seed=0)
    levels = fit_levels(readings, a_schema(), min_rows=100)
    whole = recall(readings, levels, levels.level_by_sensor, a_memory())

    some = recall_selected(readings, kept, levels, a_memory())

    for name in {field.name for field in fields(Recalled)} - {"evicted", "new_sensor_level"}:
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name)[kept], err_msg=name)


def test_whatever_is_smoothed_begins_with_the_first_kept_row_of_each_sensor() -> None:
    readings = readings_of_many_sensors(7)
    kept = np.ones(len(readings), dtype=np.bool_)
    kept[:700] = False
    levels = fit_levels(readings, a_schema(), min_rows=100)

    new_sensor_level = recall_selected(readings, kept, levels, a_memory()).new_sensor_level

    np.testing.assert_array_equal(np.flatnonzero(new_sensor_level >= 0), np.arange(7))


def a_memory() -> Memory:
    return Memory(Layout(("x1", "x2", "x3"), (), 100))


@pytest.mark.parametrize(("sensors", "period"), [(10, 0), (10, HOUR), (1_000, 0)])
def test_no_row_is_looked_at_by_a_model_that_was_fitted_on_it_or_next_to_it(
    sensors: int, period: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In two folds, unless blocks could fall in with what comes back, and leave half of it out."""
    seen: list[tuple[NDArray[np.bool_], FitResult]] = []

    def recording_fit(
        readings: Readings,
        fitting: NDArray[np.bool_],
        kept: NDArray[np.bool_],
        schema: Schema,
        trainer_settings: TrainerSettings,
    ) -> FitResult:
        seen.append((fitting, fit_and_recall(readings, fitting, kept, schema, trainer_settings)))
        return seen[-1][1]

    monkeypatch.setattr(folds, "fit_and_recall", recording_fit)
    raw_scores = out_of_fold_scores(
        readings_of_many_sensors(sensors), a_schema(), TRAINER_SETTINGS, period=period
    )

    rows = len(seen[0][0])
    block = np.arange(rows) * 10 // rows
    for fold, (fitting, _) in enumerate(seen):
        held = block % len(seen) == fold
        assert not (fitting & held).any()
        assert not (fitting[1:] & held[:-1]).any()
        assert fitting.sum() >= 0.25 * rows
    assert len(seen) == (2 if sensors == 10 and period == 0 else 10)
    assert set(raw_scores.block.tolist()) == set(range(10))
    assert raw_scores.warming.any()
    assert 0.9 * PATCHED_MAX_ROWS <= (~raw_scores.warming).sum() <= 1.1 * PATCHED_MAX_ROWS


@pytest.mark.parametrize(
    ("readings", "target"),
    [
        (simulated_readings(60_000, interval=1.0), 0.005),
        (readings_of_many_sensors(1, 60_000), 0.01),
        (readings_of_many_sensors(300, 60_000), 0.01),
    ],
    ids=["simulated", "one sensor", "many sensors"],
)
def test_clean_rows_of_tomorrow_still_alarm_at_about_the_target_rate(
    readings: Readings, target: float
) -> None:
    """Within a third of the target and three times it, learned from one row in eight."""
    known, new = readings.take(slice(0, 40_000)), readings.take(slice(40_000, None))

    detector, memory = fit_with_memory(known, a_schema(), how_at(target))

    found = detector.detect(new, memory).detections
    assert target / 3 <= found.is_anomaly.mean() <= target * 3


def how_at(target: float) -> TrainerSettings:
    return TRAINER_SETTINGS.model_copy(update={"target_alert_rate": target})


def test_the_order_of_the_rows_in_the_file_does_not_matter() -> None:
    readings = readings_of_many_sensors(10, 12_000)
    order = np.random.default_rng(3).permutation(len(readings))
    mixed = replace(
        readings.take(order),
        index=np.arange(len(readings)),
        sensor=9 - readings.sensor[order],
        sensor_ids=tuple(reversed(readings.sensor_ids)),
    )

    first, again = (
        train(rows, a_schema(), a_dataset(rows).source, TRAINER_SETTINGS)
        for rows in (readings, mixed)
    )

    wanted = first.detector("v").arrays()
    for name, array in again.detector("v").arrays().items():
        assert array.tobytes() == wanted[name].tobytes(), name


def test_a_manifest_tells_on_how_many_rows_it_was_calibrated() -> None:
    readings = readings_of_many_sensors(10, 12_000)

    candidate = train(readings, a_schema(), a_dataset(readings).source, TRAINER_SETTINGS)

    split, scores = candidate.split, candidate.calibration.scores
    assert split["fit_rows"] == 12_000
    assert 0.9 * PATCHED_MAX_ROWS <= split["calibration_rows"] <= 1.1 * PATCHED_MAX_ROWS
    # The others only have no memory yet; rows that warm are not among them.
    assert 0.9 * split["calibration_rows"] <= len(scores) <= split["calibration_rows"]


@pytest.mark.parametrize("sensors", [12_000, 3_000])
def test_sensors_with_a_row_or_a_few_can_be_trained_on(sensors: int) -> None:
    readings = readings_of_many_sensors(sensors, 12_000)

    candidate = train(readings, a_schema(), a_dataset(readings).source, TRAINER_SETTINGS)

    assert np.isfinite(candidate.calibration.scores).all()


def test_levels_hardly_move_where_a_sensor_s_rows_are_thinned(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    readings = readings_of_many_sensors(2, 40_000)
    thinned = fit_levels(readings, a_schema(), min_rows=100)
    monkeypatch.setattr("sensorwatch.trainer.level_fitting.MAX_FIT_ROWS", len(readings))
    whole = fit_levels(readings, a_schema(), min_rows=100)

    assert not np.array_equal(thinned.location, whole.location)
    assert np.abs((thinned.location - whole.location) / whole.scale)[1:].max() < 0.15
    assert np.abs(thinned.scale / whole.scale - 1.0)[1:].max() < 0.1


def test_a_gap_is_measured_between_rows_that_follow_one_another() -> None:
    """Among thinned rows the steps would be longer, and no gap would ever be found."""
    readings = readings_of_many_sensors(2, 40_000)

    assert fit_levels(readings, a_schema(), min_rows=100).max_gap == 10_000_000
    assert max_gap(readings, a_schema()) == 10_000_000


def test_a_day_that_comes_back_does_not_hide_faults_from_few_days() -> None:
    """Every other half of four days left out together would teach the threshold that hours vary."""
    days, per_day, sensors = 7, 288, 7
    rows, learned = days * per_day * sensors, 4 * per_day * sensors
    readings = readings_of_many_sensors(sensors, rows)
    time = 1_735_689_600_000_000 + 24 * HOUR // per_day * (np.arange(rows) // sensors)
    values = readings.values.copy()
    values[np.isin(time // (HOUR // 4) % 96, (21, 33, 41, 60))] += 12.0  # sharp quarters of hours
    spiked = np.arange(learned + 100, rows, 101)
    values[spiked, 0] += 8.0
    readings = replace(readings, event_time=time, values=values)

    known, new = readings.take(slice(0, learned)), readings.take(slice(learned, None))
    detector, memory = fit_with_memory(known, a_schema(), TRAINER_SETTINGS)
    found = detector.detect(new, memory).detections

    assert detector.forecast is not None
    assert detector.forecast.season.is_present
    assert found.is_anomaly[spiked - learned].mean() > 0.9
