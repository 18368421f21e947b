"""The cadence of each sensor defines its gaps, and the memory updates the cadence."""

from functools import cache

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings, build_readings
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.runtime.setting_choices import FeatureKind
from sensorwatch.common.runtime.setting_keys import TrainerSettings
from sensorwatch.common.scoring.cadence import MIN_INTERVALS
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn
from sensorwatch.common.scoring.processing import Outcome
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.trainer.training import fit_unregistered
from tests.detection.detection_streams import detection_bytes, score_in_batches
from tests.reading_builders import START_TIME

SECOND = 1_000_000
FAST, SLOW = 1, 1_200
"""Seconds between two rows of the sensors "fast" and "slow".

Fewer than one in a thousand rows belong to the slow sensor. So the 99.9 % quantile of all intervals
is an interval of the fast sensor.
"""
TRAINING_SECONDS = 60_000
GAP_STATUS = STATUSES.index(Status.GAP)


def a_schema() -> Schema:
    return schema_from_plain(
        {
            "name": "mixed",
            "time": {"field": "timestamp"},
            "key": {"field": "sensor_id"},
            "signals": [{"name": "v"}],
        }
    )


def rows_at(seconds_by_sensor: dict[str, NDArray[np.float64]], *, seed: int = 1) -> Readings:
    """Return rows of several sensors at the given times, in time order, with normal values."""
    random = np.random.default_rng(seed)
    rows = sorted(
        (START_TIME + round(second * SECOND), sensor)
        for sensor, seconds in seconds_by_sensor.items()
        for second in seconds.tolist()
    )
    return build_readings(
        index=range(len(rows)),
        event_time=[time for time, _ in rows],
        sensor_ids=[sensor for _, sensor in rows],
        values=random.normal(20.0, 0.3, (len(rows), 1)).round(2).tolist(),
        signals=1,
    )


def mixed_rows(start: float, stop: float, *, prefix: str = "") -> Readings:
    """Return rows of two sensors: one with a row per second, one with a row per twenty minutes."""
    return rows_at(
        {
            f"{prefix}fast": np.arange(start, stop, FAST, dtype=np.float64),
            f"{prefix}slow": np.arange(start, stop, SLOW, dtype=np.float64),
        }
    )


@cache
def a_detector(features: FeatureKind = FeatureKind.FORECAST) -> Detector:
    trainer_settings = TrainerSettings(features=features, trees=5, max_samples=64, min_rows=30)
    return fit_unregistered(mixed_rows(0, TRAINING_SECONDS), a_schema(), trainer_settings)


def gaps_of(outcome: Outcome, sensor: str) -> NDArray[np.bool_]:
    """Return, for each row of a sensor, whether its status is `gap`."""
    readings = outcome.readings
    rows = readings.sensor == readings.sensor_ids.index(sensor)
    is_gap: NDArray[np.bool_] = outcome.detections.status[rows] == GAP_STATUS
    return is_gap


def cadence_seconds(memory: Memory, sensor: str) -> float:
    return float(memory.floats[memory.slot_by_sensor[sensor], FloatColumn.CADENCE]) / SECOND


@pytest.mark.parametrize("features", FeatureKind)
@pytest.mark.parametrize("prefix", ["", "new "])
def test_a_slow_sensor_beside_a_fast_one_has_no_gaps(features: FeatureKind, prefix: str) -> None:
    """With one gap limit for all sensors, every row of the slow sensor would be a gap."""
    detector = a_detector(features)

    (outcome,) = score_in_batches(
        mixed_rows(TRAINING_SECONDS, TRAINING_SECONDS + 110 * SLOW, prefix=prefix),
        detector,
        detector.empty_memory(),
    )

    assert len(gaps_of(outcome, f"{prefix}slow")) == 110
    assert gaps_of(outcome, f"{prefix}slow").mean() < 0.01
    assert gaps_of(outcome, f"{prefix}fast").mean() < 0.01


@pytest.mark.parametrize("prefix", ["", "new "])
def test_a_pause_of_each_sensor_is_a_gap(prefix: str) -> None:
    """Each sensor pauses for twelve of its own intervals. For `slow`, a minute is not a pause."""
    fast = np.arange(1_000.0)
    slow = np.arange(100.0) * SLOW
    readings = rows_at(
        {
            f"{prefix}fast": np.where(fast < 500, fast, fast + 12 * FAST),
            f"{prefix}slow": np.where(slow < 50 * SLOW, slow, slow + 12 * SLOW),
        }
    )
    detector = a_detector()

    (outcome,) = score_in_batches(readings, detector, detector.empty_memory())

    assert np.flatnonzero(gaps_of(outcome, f"{prefix}fast")).tolist() == [500]
    assert np.flatnonzero(gaps_of(outcome, f"{prefix}slow")).tolist() == [50]


@pytest.mark.parametrize(("before", "after"), [(1, 600), (600, 1), (10, 10_000)])
def test_a_changed_cadence_is_followed_within_forty_rows(before: int, after: int) -> None:
    steps = np.repeat([before, after], [200, 100])
    readings = rows_at({"new": np.cumsum(steps).astype(np.float64)})
    detector, memory = a_detector(), a_detector().empty_memory()

    (outcome,) = score_in_batches(readings, detector, memory)

    assert not gaps_of(outcome, "new")[240:].any()
    assert cadence_seconds(memory, "new") == after


def test_one_pause_hardly_changes_a_cadence() -> None:
    detector, memory = a_detector(), a_detector().empty_memory()

    score_in_batches(rows_at({"fast": np.asarray([0.0, 1.0, 2.0, 86_400.0])}), detector, memory)

    assert cadence_seconds(memory, "fast") == pytest.approx(1.01)


@pytest.mark.parametrize("seed", range(5))
def test_a_cadence_is_near_the_median_of_irregular_intervals(seed: int) -> None:
    """The intervals are exponentially distributed, so a tenth exceeds three times the median."""
    intervals = np.random.default_rng(seed).exponential(60.0, 3_000)
    detector, memory = a_detector(), a_detector().empty_memory()

    (outcome,) = score_in_batches(rows_at({"new": np.cumsum(intervals)}), detector, memory)

    assert cadence_seconds(memory, "new") == pytest.approx(60.0 * np.log(2.0), rel=0.5)
    assert gaps_of(outcome, "new").mean() < 0.01


def test_a_sensor_with_too_few_intervals_has_no_gap() -> None:
    seconds = np.append(np.arange(float(MIN_INTERVALS)), 1e6)
    detector = a_detector()

    (outcome,) = score_in_batches(rows_at({"new": seconds}), detector, detector.empty_memory())

    assert not gaps_of(outcome, "new").any()


def test_late_and_duplicate_rows_change_no_cadence() -> None:
    detector = a_detector()
    memory, expected_memory = detector.empty_memory(), detector.empty_memory()
    readings = rows_at({"fast": np.arange(20.0)})
    score_in_batches(readings, detector, expected_memory)
    score_in_batches(readings, detector, memory)

    score_in_batches(rows_at({"fast": np.asarray([3.0, 3.5, 19.0])}), detector, memory)

    assert np.array_equal(memory.floats, expected_memory.floats)
    assert np.array_equal(memory.ints, expected_memory.ints)


@pytest.mark.parametrize("rows_before_snapshot", [1, 15, 700])
def test_a_cadence_does_not_depend_on_micro_batches_and_survives_a_snapshot(
    rows_before_snapshot: int,
) -> None:
    random = np.random.default_rng(7)
    readings = rows_at(
        {
            "new": np.cumsum(random.exponential(60.0, 400)),
            "fast": np.cumsum(random.choice([1.0, 2.0, 300.0], 400)),
        }
    )
    detector = a_detector()
    memory, replayed_memory = detector.empty_memory(), detector.empty_memory()
    outcomes = score_in_batches(readings, detector, memory)

    before = readings.take(slice(0, rows_before_snapshot))
    score_in_batches(before, detector, replayed_memory)
    replayed_memory = memory_from_bytes(memory_to_bytes(replayed_memory), detector)
    after = readings.take(slice(rows_before_snapshot, None))
    replayed = score_in_batches(after, detector, replayed_memory, batch_ends=[1, 2, 50])

    cadence_columns = [IntColumn.CADENCE_INTERVALS, IntColumn.CADENCE_RUN]
    tables, replayed_tables = (
        (m.floats[: m.sensors].tobytes(), m.ints[: m.sensors, cadence_columns].tobytes())
        for m in (memory, replayed_memory)
    )
    assert replayed_tables == tables
    status_column = 5
    (statuses,) = (outcome.detections.status for outcome in outcomes)
    assert detection_bytes(replayed)[status_column] == statuses[rows_before_snapshot:].tobytes()
