"""A fault raises one alarm: repeats and recoveries of a known fault are suppressed."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.scoring.detections import SEVERITIES, Detections, Severity
from sensorwatch.common.scoring.news import MEMORY_ROWS, REPEAT_ROWS
from sensorwatch.common.scoring.suppression import SUPPRESSIONS, Suppression
from tests.detection.test_slow_changes import detect, values_of

WARNING = SEVERITIES.index(Severity.WARNING)
SPREAD = np.asarray([2.0, 0.1])


def a_stream(
    *excursions: tuple[int, int, int, float], steps: int = 900, seed: int = 21
) -> NDArray[np.float64]:
    """Return values; an excursion is (first row, number of rows, signal, size in spreads)."""
    values = values_of(steps, seed=seed)
    for first, rows, signal, size in excursions:
        values[first : first + rows, 0, signal] += size * SPREAD[signal]
    return values


def detections_of(values: NDArray[np.float64]) -> Detections:
    (result,) = detect(values)
    return result.detections


def alarms(detections: Detections) -> int:
    """Return the number of episodes of which a person is notified."""
    return len(np.unique(detections.episode[detections.severity >= WARNING]))


def suppressions(detections: Detections) -> set[Suppression]:
    return {SUPPRESSIONS[number] for number in np.unique(detections.suppression).tolist()}


def test_a_flapping_signal_raises_one_alarm_that_counts_its_repeats() -> None:
    flaps = [(200 + 20 * number, 3, 0, 9.0) for number in range(8)]

    detections = detections_of(a_stream(*flaps))

    assert alarms(detections) == 1
    assert {Suppression.REPEAT, Suppression.FLAPPING} <= suppressions(detections)
    assert detections.alike.max() >= 4


def test_a_recurring_excursion_is_suppressed_after_four_alarms() -> None:
    spikes = [(200 + 60 * number, 1, 0, 12.0) for number in range(10)]

    assert alarms(detections_of(a_stream(*spikes))) == 4


@pytest.mark.parametrize(
    "second",
    [(215, 2, 1, 10.0), (215, 2, 0, -10.0), (210 + MEMORY_ROWS, 2, 0, 10.0), (215, 1, 0, 60.0)],
    ids=["another signal", "another direction", "long after it", "far larger"],
)
def test_another_fault_is_a_second_alarm(second: tuple[int, int, int, float]) -> None:
    assert alarms(detections_of(a_stream((200, 2, 0, 10.0), second))) == 2


def test_the_same_excursion_shortly_after_an_alarm_is_a_repeat() -> None:
    again = (202 + REPEAT_ROWS // 2, 2, 0, 10.0)

    detections = detections_of(a_stream((200, 2, 0, 10.0), again))

    assert alarms(detections) == 1
    assert detections.is_anomaly[again[0]]
    assert SEVERITIES[detections.severity[again[0]]] is Severity.INFO


def test_another_signal_inside_an_alarm_is_news() -> None:
    detections = detections_of(a_stream((200, 60, 0, 10.0), (230, 3, 1, 1e6)))

    assert detections.is_news[230]
    assert not detections.is_news[200:230].any()
    assert len(np.unique(detections.episode[200:255])) == 1


@pytest.mark.parametrize("rows_per_batch", [1, 13])
def test_suppression_does_not_depend_on_micro_batches(rows_per_batch: int) -> None:
    flaps = [(50 + 20 * number, 3, 0, 9.0) for number in range(5)]
    values = a_stream(*flaps, (110, 2, 1, 12.0), steps=200)
    (result_in_one_batch,) = detect(values)

    parts = detect(values, rows_per_batch=rows_per_batch)

    for name in ("suppression", "is_news", "alike", "severity", "previous_severity"):
        joined = np.concatenate([getattr(part.detections, name) for part in parts])
        assert np.array_equal(joined, getattr(result_in_one_batch.detections, name)), name
    closed = [episode for part in parts for episode in part.closed]
    assert [episode.suppression for episode in closed] == [
        episode.suppression for episode in result_in_one_batch.closed
    ]
