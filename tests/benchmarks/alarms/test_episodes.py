"""Tests of the episodes, and of their match with faults."""

import math

import numpy as np
import pytest

from benchmarks.quality.alarms.episodes import (
    EpisodeTable,
    TrueFault,
    episode_table,
    match,
    peak_at_rate,
    precision,
    share_found,
)
from benchmarks.quality.alarms.scored_rows import ScoredRows
from sensorwatch.common.scoring.detections import SEVERITIES, Severity

WARNING, MAJOR, CRITICAL = (
    SEVERITIES.index(severity) for severity in (Severity.WARNING, Severity.MAJOR, Severity.CRITICAL)
)


def some_episodes(*spans: tuple[int, int, int], severity: int = WARNING) -> EpisodeTable:
    """Return episodes from (sensor, first time, last time), with the peaks 1, 2 and so on."""
    sensor, first_time, last_time = np.array(spans).T
    return EpisodeTable(
        sensor.astype(np.int32),
        first_time,
        last_time,
        np.full(len(spans), severity, dtype=np.int8),
        np.arange(1.0, len(spans) + 1),
    )


def test_an_episode_has_the_highest_severity_and_score_of_its_rows() -> None:
    rows = ScoredRows(
        sensor=np.array([0, 1, 0, 1, 0], dtype=np.int32),
        event_time=np.array([10, 10, 20, 20, 30]),
        raw_score=np.array([5.0, 1.0, 9.0, 6.0, 7.0]),
        anomaly_score=np.ones(5),
        severity=np.array([0, 0, CRITICAL, MAJOR, CRITICAL], dtype=np.int8),
        episode=np.array([0, -1, 0, 3, 0]),
    )

    episodes = episode_table(rows)

    assert episodes.sensor.tolist() == [0, 1]
    assert episodes.first_time.tolist() == [10, 20]
    assert episodes.last_time.tolist() == [30, 20]
    assert episodes.peak.tolist() == [9.0, 6.0]
    assert episodes.reaches("any").tolist() == [True, True]
    assert episodes.reaches("major").tolist() == [True, True]
    assert episodes.reaches("critical").tolist() == [True, False]


def test_an_episode_below_the_lowest_severity_is_an_episode_all_the_same() -> None:
    rows = ScoredRows(
        sensor=np.array([0, 0], dtype=np.int32),
        event_time=np.array([10, 20]),
        raw_score=np.array([2.0, 1.0]),
        anomaly_score=np.array([2.0, 1.0]),
        severity=np.array([0, 0], dtype=np.int8),
        episode=np.array([0, -1]),
    )

    episodes = episode_table(rows)

    assert rows.alarmed("any").tolist() == [True, False]
    assert rows.alarmed("warning").tolist() == [False, False]
    assert episodes.reaches("any").tolist() == [True]
    assert episodes.reaches("warning").tolist() == [False]


def test_only_an_episode_of_the_same_sensor_with_a_faulty_row_is_true() -> None:
    episodes = some_episodes((0, 10, 19), (0, 15, 25), (0, 31, 35), (0, 45, 50), (1, 20, 30))
    faults = [TrueFault("step", 0, 20, 30), TrueFault("step", 1, 31, 40)]

    matches = match(episodes, faults, margin=10)

    assert matches.is_true.tolist() == [False, True, False, False, False]
    assert matches.is_near.tolist() == [False, True, True, False, False]
    assert [numbers.tolist() for numbers in matches.episodes_by_fault] == [[1], []]
    assert [numbers.tolist() for numbers in matches.near_episodes_by_fault] == [[1, 2], []]
    assert precision(matches.is_true, np.ones(5, dtype=np.bool_)) == pytest.approx(0.2)
    assert share_found(matches, np.ones(5, dtype=np.bool_)) == 0.5
    assert share_found(matches, np.ones(5, dtype=np.bool_), faults=[0]) == 1.0
    assert share_found(matches, episodes.peak > 2) == 0.0


def test_no_fault_and_no_alarm_give_no_figure() -> None:
    matches = match(some_episodes((0, 1, 2)), [], margin=0)

    assert math.isnan(share_found(matches, np.array([True])))
    assert math.isnan(precision(matches.is_true, np.array([False])))


@pytest.mark.parametrize(("rate", "false_above"), [(0.0, 0), (0.01, 1), (0.02, 2), (0.03, 3)])
def test_the_peak_at_a_rate_is_exceeded_by_the_allowed_number_of_false_episodes(
    rate: float, false_above: int
) -> None:
    peak = np.array([1.0, 2.0, 3.0, 4.0])
    is_false = np.array([True, False, True, True])

    limit = peak_at_rate(peak, is_false, days=100.0, rate=rate)

    assert (peak[is_false] > limit).sum() == false_above
