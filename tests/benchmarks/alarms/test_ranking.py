"""Tests of the comparison of scores at the same rate of false alarms."""

import numpy as np
import pytest

from benchmarks.quality.alarms.ranking import found_shares


def test_a_score_finds_the_faulty_rows_above_the_limit_of_the_normal_rows() -> None:
    score = np.arange(200.0)
    is_faulty = np.zeros(200, dtype=np.bool_)
    is_faulty[[50, 51, 199]] = True
    score[51] = 1_000.0

    shares = found_shares(score, is_faulty)

    assert shares.rows == pytest.approx(2 / 3)
    assert shares.faults == 1.0


def test_rows_just_after_a_fault_do_not_raise_the_limit() -> None:
    score = np.zeros(100)
    score[40:50], score[50:60] = 1.0, 2.0
    is_faulty = np.zeros(100, dtype=np.bool_)
    is_faulty[40:50] = True

    assert found_shares(score, is_faulty).rows == 0.0
    assert found_shares(score, is_faulty, margin=10).rows == 1.0
