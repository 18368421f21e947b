"""A model that no longer fits: a statistic of the episodes of all sensors of a partition."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.model.alarm_rates import AlarmRates
from sensorwatch.common.runtime.setting_keys import AlarmSettings, TrainerSettings
from sensorwatch.common.scoring.detector import DetectionResult, Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.common.scoring.staleness import (
    REPEATED_ROWS,
    STALE_FACTOR,
    StalenessColumn,
    StaleRows,
    find_stale_rows,
)
from sensorwatch.trainer.unregistered_model import fit_with_memory
from tests.scoring.faulty import readings_from, schema_for

RATE = 0.005
"""Expected episodes per row."""
RATES = AlarmRates(
    start=4.0, rate=RATE, scale=1.0, shape=0.0, cadence=60_000_000.0, budgets=np.ones(3)
)


def stale_rows_of(episode_rows: NDArray[np.int64], *, rows_per_call: int = 10**9) -> StaleRows:
    """Return the stale rows of a stream in which every row is counted."""
    staleness = np.zeros(len(StalenessColumn))
    parts = [
        find_stale_rows(
            np.ones(len(part), dtype=np.bool_), part, staleness, alarm_rates=RATES, threshold=4.0
        )
        for part in np.array_split(
            episode_rows, range(rows_per_call, len(episode_rows), rows_per_call)
        )
    ]
    return StaleRows(
        np.concatenate([part.episodes for part in parts]),
        np.concatenate([part.expected_episodes for part in parts]),
    )


def first_rows(rows: int, rate: float, seed: int) -> NDArray[np.int64]:
    """Return a stream in which each episode has one row."""
    return (np.random.default_rng(seed).random(rows) < rate).astype(np.int64)


@pytest.mark.parametrize("factor", [1.0, 2.0])
def test_a_model_whose_episodes_are_at_most_twice_as_frequent_fits(factor: float) -> None:
    for seed in range(5):
        stale = stale_rows_of(first_rows(1_000_000, factor * RATE, seed))
        assert not stale.episodes.any()


def test_a_model_whose_episodes_are_much_more_frequent_becomes_stale_once() -> None:
    episode_rows = np.concatenate(
        [first_rows(50_000, RATE, 1), first_rows(50_000, STALE_FACTOR * RATE, 2)]
    )

    stale = stale_rows_of(episode_rows)

    (row,) = np.flatnonzero(stale.episodes)
    assert 50_000 < row < 50_000 + 20 / RATE
    # The evidence begins where the episodes became frequent.
    assert stale.episodes[row] > 5 * stale.expected_episodes[row]
    assert episode_rows[50_000 : row + 1].sum() == pytest.approx(stale.episodes[row], abs=10)


def test_an_alarm_of_all_sensors_at_one_time_does_not_make_the_model_stale() -> None:
    """For example a power cut of 200 sensors, once a day."""
    episode_rows = first_rows(200_000, RATE, 3)
    for cut in (20_000, 100_000, 180_000):
        episode_rows[cut : cut + 200] = 1

    assert not stale_rows_of(episode_rows).episodes.any()


def test_alarms_that_do_not_end_count_again() -> None:
    """All sensors are in an alarm that lasts for thousands of rows."""
    episode_rows = first_rows(40_000, RATE, 4)
    episode_rows[20_000:] = 2 + np.arange(20_000) % 5_000
    assert REPEATED_ROWS < 1 / RATE

    stale = stale_rows_of(episode_rows)

    assert np.flatnonzero(stale.episodes).min() > 20_000


def test_a_model_that_fits_again_can_become_stale_again() -> None:
    frequent, usual = first_rows(5_000, STALE_FACTOR * RATE, 5), first_rows(20_000, RATE, 6)

    stale = stale_rows_of(np.concatenate([frequent, usual, frequent, usual]))

    assert len(np.flatnonzero(stale.episodes)) == 2


@pytest.mark.parametrize("rows_per_call", [1, 7, 1_000])
def test_stale_rows_do_not_depend_on_the_micro_batches(rows_per_call: int) -> None:
    episode_rows = first_rows(6_000, STALE_FACTOR * RATE, 7)

    actual, expected = (
        stale_rows_of(episode_rows, rows_per_call=rows_per_call),
        stale_rows_of(episode_rows),
    )

    assert actual.episodes.tolist() == expected.episodes.tolist()
    assert actual.expected_episodes.tobytes() == expected.expected_episodes.tobytes()
    assert expected.episodes.any()


SENSORS, TRAIN_STEPS = 5, 1_000


@pytest.fixture(scope="module")
def noisy_stream() -> tuple[Detector, NDArray[np.float64]]:
    """Return a detector, and values whose noise is three times as large as in training."""
    random = np.random.default_rng(8)
    train = random.normal(size=(TRAIN_STEPS, SENSORS, 2))
    settings = TrainerSettings(trees=20, alarms=AlarmSettings(accept_after_rows=2_000))
    detector, _ = fit_with_memory(readings_from(train), schema_for(train), settings)
    return detector, 3.0 * random.normal(size=(1_500, SENSORS, 2))


def detect(detector: Detector, memory: Memory, values: NDArray[np.float64]) -> DetectionResult:
    return detector.detect(readings_from(values), memory)


def test_noisier_sensors_make_the_model_stale_until_the_next_model(
    noisy_stream: tuple[Detector, NDArray[np.float64]],
) -> None:
    detector, values = noisy_stream
    memory = detector.empty_memory()

    stale_rows = np.flatnonzero(detect(detector, memory, values).detections.stale_episodes)

    assert len(stale_rows) == 1
    assert memory.staleness[StalenessColumn.IS_STALE] == 1.0
    memory.adopt(detector)
    assert not memory.staleness.any()


def test_undo_and_snapshots_keep_the_staleness(
    noisy_stream: tuple[Detector, NDArray[np.float64]],
) -> None:
    detector, values = noisy_stream
    memory = detector.empty_memory()
    detect(detector, memory, values[:200])
    before = memory.staleness.tobytes()
    assert memory.staleness.any()

    memory.begin()
    detect(detector, memory, values[200:400])
    memory.undo()

    assert memory.staleness.tobytes() == before
    assert memory_from_bytes(memory_to_bytes(memory), detector).staleness.tobytes() == before
