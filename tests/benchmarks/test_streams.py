"""A stream goes through the public backtest path, and comes back row by row."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.quality.streams import Stream, backtest
from common.detection.detector import Detector
from common.runtime.keys import TrainerSettings
from tests.benchmarks.test_baselines import a_stream

HOW = TrainerSettings(trees=20)


def test_every_judged_row_has_its_place() -> None:
    found = backtest(a_stream(bad=290), HOW)

    assert len(found.anomaly_score) == len(found.is_anomaly) == len(found.starts) == 100
    assert found.anomaly_score[90] == 0.0
    assert not found.is_anomaly[90]
    assert found.is_anomaly[-8:].all()
    assert found.starts.sum() >= 1
    assert (found.is_anomaly | ~found.starts).all()


def test_scores_are_causal() -> None:
    whole = a_stream()
    shorter = Stream("short", whole.schema, whole.records[:250], whole.train_rows)

    ahead = backtest(whole, HOW).anomaly_score[:50]

    assert ahead.tobytes() == backtest(shorter, HOW).anomaly_score.tobytes()


def test_refitting_changes_only_what_comes_after_the_first_refit() -> None:
    once = backtest(a_stream(), HOW)
    often = backtest(a_stream(), HOW, refit_every=40)

    assert len(often.anomaly_score) == 100
    assert often.anomaly_score[:40].tobytes() == once.anomaly_score[:40].tobytes()
    assert (often.anomaly_score[40:] != once.anomaly_score[40:]).any()


@pytest.mark.parametrize("factor", [1.0, 1e6])
def test_a_transformed_detector_is_the_one_that_judges(factor: float) -> None:
    def blunter(detector: Detector) -> Detector:
        calibration = detector.calibration
        raised = calibration.centre + factor * (calibration.threshold - calibration.centre)
        return replace(detector, calibration=replace(calibration, threshold=raised))

    found = backtest(a_stream(), HOW, transform=blunter)

    assert found.is_anomaly.any() == (factor == 1.0)
    same = found.anomaly_score.tobytes() == backtest(a_stream(), HOW).anomaly_score.tobytes()
    assert same == (factor == 1.0)
    assert np.isfinite(found.anomaly_score).all()
