"""Scores of NAB's standard profile.

The scores follow Lavin and Ahmad, "Evaluating Real-Time Anomaly Detection Algorithms - the Numenta
Anomaly Benchmark" (ICMLA 2015). Two details are from the scorer of NAB v1.1. The value of an alarm
in a window is scaled to 1 at the window's first row. An alarm before the first window has the full
cost.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PROBATION_SHARE = 0.15
MAX_PROBATION_ROWS = 750
TRUE_ALARM, FALSE_ALARM, MISSED_WINDOW = 1.0, 0.11, 1.0
"""Weights of the standard profile: A_TP, A_FP, A_FN."""
MAX_DISTANCE_BEHIND = 3.0
"""Distance behind a window, in window widths, from which on an alarm has the full cost."""
NO_WINDOW = -1


@dataclass(frozen=True, slots=True)
class Labels:
    """A file's number of rows, and its labelled windows."""

    rows: int
    windows: tuple[tuple[int, int], ...]
    """First and last row of each window, in order and without overlap."""


@dataclass(frozen=True, slots=True)
class ThresholdScore:
    """A scaled score: 0 for a detector that never alarms, 100 for a perfect one."""

    score: float
    threshold: float
    """A row alarms if its anomaly score is at least this value."""


def probation(rows: int) -> int:
    """Return the number of rows at the start of a file that are not judged."""
    return min(math.floor(PROBATION_SHARE * rows), MAX_PROBATION_ROWS)


def best_threshold_score(
    files: Sequence[Labels], scores: Sequence[NDArray[np.float64]]
) -> ThresholdScore:
    """Return the best score that one common threshold for all files reaches with these labels.

    `scores`: for each file, the anomaly scores of the rows after its probation.
    """
    alarm_value, window = _pool_files(files)
    score = np.concatenate(list(scores))
    rows_by_score = np.argsort(-score, kind="stable")
    score_change = _score_changes(alarm_value[rows_by_score], window[rows_by_score])
    sorted_scores = score[rows_by_score]
    # Rows with the same score are on the same side of every threshold.
    last_of_score = np.flatnonzero(np.append(np.diff(sorted_scores) != 0, True))
    cumulative_score = np.cumsum(score_change)[last_of_score]
    if not len(cumulative_score) or cumulative_score.max() <= 0:
        return ThresholdScore(0.0, math.inf)
    best_index = int(np.argmax(cumulative_score))
    return ThresholdScore(
        _scale_gain(float(cumulative_score[best_index]), window),
        float(sorted_scores[last_of_score[best_index]]),
    )


def score_of_alarms(files: Sequence[Labels], alarms: Sequence[NDArray[np.bool_]]) -> float:
    """Return the scaled score of alarms.

    `alarms`: for each file, a mask of the rows after its probation.
    """
    alarm_value, window = _pool_files(files)
    alarm_rows = np.flatnonzero(np.concatenate(list(alarms)))
    return _scale_gain(
        float(_score_changes(alarm_value[alarm_rows], window[alarm_rows]).sum()), window
    )


def alarm_values(labels: Labels) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return, for each row of a file, the value of an alarm and the number of the row's window.

    The value is positive in a window, where only the best alarm counts, and negative elsewhere.
    """
    value = np.full(labels.rows, scaled_sigmoid(MAX_DISTANCE_BEHIND) * FALSE_ALARM)
    window = np.full(labels.rows, NO_WINDOW)
    zone_ends = [first for first, _ in labels.windows[1:]] + [labels.rows]
    for window_number, (first, last) in enumerate(labels.windows):
        width = last - first + 1
        for row in range(first, last + 1):
            position_value = scaled_sigmoid(-(last - row + 1) / width) / scaled_sigmoid(-1.0)
            value[row], window[row] = position_value * TRUE_ALARM, window_number
        for row in range(last + 1, zone_ends[window_number]):
            distance_behind = (row - last) / max(width - 1, 1)
            value[row] = scaled_sigmoid(distance_behind) * FALSE_ALARM
    return value, window


def scaled_sigmoid(position: float) -> float:
    """Return the value of an alarm; `position` is relative to a window's end, in window widths.

    Position -1 is the window's first row, 0 is just behind the window, 3 is far behind it.
    """
    if position >= MAX_DISTANCE_BEHIND:
        return -1.0
    return 2.0 / (1.0 + math.exp(5.0 * position)) - 1.0


def _pool_files(files: Sequence[Labels]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return the alarm values and the window numbers of the judged rows of all files.

    Each window has its own number, also across files.
    """
    values_of_files, windows, windows_before = [], [], 0
    for labels in files:
        value, window = alarm_values(labels)
        unique_window = np.where(window == NO_WINDOW, NO_WINDOW, window + windows_before)
        values_of_files.append(value[probation(labels.rows) :])
        windows.append(unique_window[probation(labels.rows) :])
        windows_before += len(labels.windows)
    return np.concatenate(values_of_files), np.concatenate(windows)


def _score_changes(
    alarm_value: NDArray[np.float64], window: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Return how much each alarm changes the score if the alarms are added in the given order."""
    score_change = alarm_value.copy()
    for window_number in np.unique(window[window != NO_WINDOW]):
        window_alarms = np.flatnonzero(window == window_number)
        best_so_far = np.maximum.accumulate(
            np.concatenate(([-MISSED_WINDOW], alarm_value[window_alarms]))
        )
        score_change[window_alarms] = np.diff(best_so_far)
    return score_change


def _scale_gain(gain_over_no_alarm: float, window: NDArray[np.int64]) -> float:
    windows = len(np.unique(window[window != NO_WINDOW]))
    return 100.0 * gain_over_no_alarm / (windows * (TRUE_ALARM + MISSED_WINDOW)) if windows else 0.0
