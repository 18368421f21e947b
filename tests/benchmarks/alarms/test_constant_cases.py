"""Tests of the cases with constant signals, and of the figures of their alarms."""

import numpy as np

from benchmarks.quality.alarms.constant_cases import (
    FIRST_FAULT,
    JUDGED_ROWS,
    TRAIN_ROWS,
    alarm_cells,
    cases,
)
from benchmarks.quality.alarms.scored_rows import ScoredRows
from sensorwatch.common.scoring.detections import SEVERITIES, Severity

WARNING, CRITICAL = SEVERITIES.index(Severity.WARNING), SEVERITIES.index(Severity.CRITICAL)


def scored_rows(severity: list[int]) -> ScoredRows:
    """Return scored rows of one sensor; the anomaly score of row i is i / 10."""
    rows = np.arange(len(severity))
    return ScoredRows(
        np.zeros(len(rows), dtype=np.int32),
        rows,
        rows / 10,
        rows / 10,
        np.array(severity, dtype=np.int8),
        np.where(np.array(severity) > 0, 0, -1),
    )


def test_rows_after_the_end_are_counted_up_to_the_second_fault() -> None:
    rows = scored_rows([0, 0, 0, WARNING, CRITICAL, WARNING, 0, WARNING, WARNING])

    cells = alarm_cells(rows, (2, 4), 7)

    assert cells == ("1", "critical", "2", "5", "2", "0.70")


def test_a_case_without_a_fault_has_no_delay() -> None:
    assert alarm_cells(scored_rows([0, WARNING, 0]), None, None) == (
        "-",
        "warning",
        "1",
        "1",
        "-",
        "-",
    )


def test_the_cell_of_a_fault_without_an_alarm_says_so() -> None:
    assert alarm_cells(scored_rows([0, 0, 0]), (1, 2), None)[0] == "no alarm"


def test_constants_do_not_change_in_training() -> None:
    for case in cases(0):
        assert case.values.shape[0] == TRAIN_ROWS + JUDGED_ROWS, case.name
        if "constant" in case.name:
            training = case.values[:TRAIN_ROWS]
            constants = (np.ptp(training, axis=0) == 0).tolist()
            assert constants == [case.name.startswith("all"), True]
            assert (case.fault is None) == (np.ptp(case.values[:, 1]) == 0)
            assert case.values[TRAIN_ROWS + FIRST_FAULT - 1, 1] == training[0, 1]
