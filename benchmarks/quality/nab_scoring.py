"""NAB's score of the standard profile.

After Lavin and Ahmad, "Evaluating Real-Time Anomaly Detection Algorithms - the Numenta Anomaly
Benchmark" (ICMLA 2015), with the details of NAB v1.1's own scorer: a window's reward is scaled to
1 at its first row, and an alarm before any window costs in full.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PROBATION_SHARE = 0.15
MAX_PROBATION_ROWS = 750
TRUE_ALARM, FALSE_ALARM, MISSED = 1.0, 0.11, 1.0
"""Weights of the standard profile: A_TP, A_FP, A_FN."""
MAX_DISTANCE_BEHIND = 3.0
"""In window widths: an alarm further behind a window does not belong to it."""
NO_WINDOW = -1


@dataclass(frozen=True, slots=True)
class Labels:
    """A file's rows and its labelled windows."""

    rows: int
    windows: tuple[tuple[int, int], ...]
    """First and last row of each, in order; they do not overlap."""


@dataclass(frozen=True, slots=True)
class Result:
    """A scaled score: 0 for a detector that never alarms, 100 for a perfect one."""

    score: float
    threshold: float
    """An alarm is a row whose anomaly score is at least this."""


def probation(rows: int) -> int:
    """How many rows at a file's start are not judged."""
    return min(math.floor(PROBATION_SHARE * rows), MAX_PROBATION_ROWS)


def best_threshold_score(files: Sequence[Labels], scores: Sequence[NDArray[np.float64]]) -> Result:
    """Score with the one threshold for all files that is best for these labels: as published.

    `scores`: of each file the rows after its probation, higher is more anomalous.
    """
    alarm_value, window = _pooled(files)
    score = np.concatenate(list(scores))
    order = np.argsort(-score, kind="stable")
    score_change = _score_changes(alarm_value[order], window[order])
    ordered = score[order]
    # A threshold takes in all rows of the same score.
    last_of_score = np.flatnonzero(np.append(np.diff(ordered) != 0, True))
    total = np.cumsum(score_change)[last_of_score]
    if not len(total) or total.max() <= 0:
        return Result(0.0, math.inf)
    at = int(np.argmax(total))
    return Result(_scaled(float(total[at]), window), float(ordered[last_of_score[at]]))


def score_of_alarms(files: Sequence[Labels], alarms: Sequence[NDArray[np.bool_]]) -> float:
    """Score alarms as they are (of each file the rows after its probation), scaled."""
    alarm_value, window = _pooled(files)
    chosen = np.flatnonzero(np.concatenate(list(alarms)))
    return _scaled(float(_score_changes(alarm_value[chosen], window[chosen]).sum()), window)


def alarm_values(labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return what an alarm at each row of a file is worth, and the number of its window.

    In a window the worth is positive, and only the best alarm counts; outside it is a cost.
    """
    value = np.full(labels.rows, scaled_sigmoid(MAX_DISTANCE_BEHIND) * FALSE_ALARM)
    window = np.full(labels.rows, NO_WINDOW)
    ends = [first for first, _ in labels.windows[1:]] + [labels.rows]
    for number, (first, last) in enumerate(labels.windows):
        width = last - first + 1
        for row in range(first, last + 1):
            position_value = scaled_sigmoid(-(last - row + 1) / width) / scaled_sigmoid(-1.0)
            value[row], window[row] = position_value * TRUE_ALARM, number
        for row in range(last + 1, ends[number]):
            distance_behind = (row - last) / max(width - 1, 1)
            value[row] = scaled_sigmoid(distance_behind) * FALSE_ALARM
    return value, window


def scaled_sigmoid(position: float) -> float:
    """Worth at a position in window widths: -1 its first row, 0 just behind it, 3 far behind."""
    if position >= MAX_DISTANCE_BEHIND:
        return -1.0
    return 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def _pooled(files: Sequence[Labels]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the judged rows of all files; each window has a number of its own."""
    pooled, windows, windows_before = [], [], 0
    for labels in files:
        value, window = alarm_values(labels)
        numbered = np.where(window == NO_WINDOW, NO_WINDOW, window + windows_before)
        pooled.append(value[probation(labels.rows) :])
        windows.append(numbered[probation(labels.rows) :])
        windows_before += len(labels.windows)
    return np.concatenate(pooled), np.concatenate(windows)


def _score_changes(
    alarm_value: NDArray[np.float64], window: NDArray[np.int64]
) -> NDArray[np.float64]:
    """By how much each alarm, one after the other, moves the score of no alarm at all."""
    score_change = alarm_value.copy()
    for number in np.unique(window[window != NO_WINDOW]):
        window_alarms = np.flatnonzero(window == number)
        best_so_far = np.maximum.accumulate(np.concatenate(([-MISSED], alarm_value[window_alarms])))
        score_change[window_alarms] = np.diff(best_so_far)
    return score_change


def _scaled(gain_over_no_alarm: float, window: NDArray[np.int64]) -> float:
    windows = len(np.unique(window[window != NO_WINDOW]))
    return 100.0 * gain_over_no_alarm / (windows * (TRUE_ALARM + MISSED)) if windows else 0.0
