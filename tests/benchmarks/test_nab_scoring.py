"""Tests that NAB's scores agree with values calculated by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from benchmarks.quality.nab_scoring import (
    NO_WINDOW,
    Labels,
    alarm_values,
    best_threshold_score,
    probation,
    scaled_sigmoid,
    score_of_alarms,
)

LABELS = Labels(100, ((40, 49), (70, 79)))
"""Labels of a file with two windows; rows 0 to 14 are its probation."""
VALUE_FAR_FROM_WINDOW = 0.11


def alarms_at(*rows: int, labels: Labels = LABELS) -> NDArray[np.bool_]:
    return np.isin(np.arange(probation(labels.rows), labels.rows), rows)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_probation_is_15_percent_of_a_file_and_at_most_750_rows() -> None:
    assert [probation(rows) for rows in (100, 1_243, 4_032, 5_000, 20_000)] == [
        *(15, 186, 604, 750, 750)
    ]


@pytest.mark.parametrize(
    ("position", "value"),
    [(-1.0, 0.98661), (-0.5, 0.84828), (0.0, 0.0), (1.0, -0.98661), (3.0, -1.0), (9.0, -1.0)],
)
def test_the_scaled_sigmoid_has_the_values_of_the_paper(position: float, value: float) -> None:
    assert scaled_sigmoid(position) == pytest.approx(value, abs=1e-5)


def test_the_value_of_an_alarm_depends_on_its_row() -> None:
    value, window = alarm_values(LABELS)

    best_value = 2 * sigmoid(5) - 1
    assert window[[39, 40, 49, 50, 70, 79, 80]].tolist() == [
        *(NO_WINDOW, 0, 0, NO_WINDOW, 1, 1, NO_WINDOW)
    ]
    assert value[15] == value[39] == -VALUE_FAR_FROM_WINDOW  # there is no window before these rows
    assert value[40] == 1.0
    # At row 45, half of the window remains; at row 49, a tenth.
    assert value[45] == pytest.approx((2 * sigmoid(2.5) - 1) / best_value)
    assert value[49] == pytest.approx((2 * sigmoid(0.5) - 1) / best_value)
    assert value[50] == pytest.approx(
        VALUE_FAR_FROM_WINDOW * (2 * sigmoid(-5 / 9) - 1)
    )  # the first row after the window
    assert value[58] == pytest.approx(
        VALUE_FAR_FROM_WINDOW * (2 * sigmoid(-5) - 1)
    )  # one window width after the window
    assert value[99] == pytest.approx(VALUE_FAR_FROM_WINDOW * (2 * sigmoid(-100 / 9) - 1))


def test_no_alarm_is_0_and_the_first_row_of_each_window_is_100() -> None:
    assert score_of_alarms([LABELS], [alarms_at()]) == 0.0
    assert score_of_alarms([LABELS], [alarms_at(40, 70)]) == pytest.approx(100.0)
    assert best_threshold_score([LABELS], [alarms_at(40, 70).astype(float)]).score == pytest.approx(
        100.0
    )


def test_a_constant_score_has_the_result_of_no_alarm() -> None:
    result = best_threshold_score([LABELS], [np.zeros(85)])

    assert result.score == 0.0
    assert result.threshold == math.inf


def test_only_the_earliest_alarm_of_a_window_counts() -> None:
    assert score_of_alarms([LABELS], [alarms_at(42, 43, 49)]) == score_of_alarms(
        [LABELS], [alarms_at(42)]
    )


def test_half_of_the_windows_found_with_one_false_alarm() -> None:
    # An alarm at a window's first row gains 2: its value of 1, and the avoided cost of 1 for a
    # missed window. The maximum for two windows is therefore 4.
    assert score_of_alarms([LABELS], [alarms_at(40, 20)]) == pytest.approx(
        100 * (2 - VALUE_FAR_FROM_WINDOW) / 4
    )


def test_all_files_share_one_threshold() -> None:
    # In the second file, the false alarm has a higher anomaly score than all alarms in windows.
    first_scores = np.where(alarms_at(40, 70), 5.0, 0.0)
    second_scores = np.where(alarms_at(40, 70), 6.0, 0.0) + np.where(alarms_at(20), 7.0, 0.0)

    best_score = best_threshold_score([LABELS, LABELS], [first_scores, second_scores])

    assert best_score.threshold == 5.0
    assert best_score.score == pytest.approx(100 * (8 - VALUE_FAR_FROM_WINDOW) / 8)


def test_a_file_without_windows_adds_nothing_but_its_false_alarms() -> None:
    file_without_windows = Labels(100, ())

    score = score_of_alarms([LABELS, file_without_windows], [alarms_at(40, 70), alarms_at(20, 21)])

    assert score == pytest.approx(100 * (4 - 2 * VALUE_FAR_FROM_WINDOW) / 4)


@given(
    seed=st.integers(0, 9_999),
    score_levels=st.integers(1, 20),
)
def test_the_best_threshold_is_the_best_of_all_thresholds(seed: int, score_levels: int) -> None:
    rng = np.random.default_rng(seed)
    files = [LABELS, Labels(60, ((20, 30),))]
    scores = [rng.integers(0, score_levels, size=size).astype(float) for size in (85, 51)]

    best_score = best_threshold_score(files, scores)

    score_by_threshold = {
        threshold: score_of_alarms(files, [score >= threshold for score in scores])
        for threshold in {*np.concatenate(scores).tolist(), math.inf}
    }
    assert best_score.score == pytest.approx(max(score_by_threshold.values()))
    assert score_by_threshold[best_score.threshold] == pytest.approx(best_score.score)
