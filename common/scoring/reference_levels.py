"""The reference levels of the declared signals around a row."""

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.angles import model_positions, to_angle
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.score_evidence import ScoreEvidence


def reference_levels(
    detector: Detector, evidence: ScoreEvidence, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the reference level of each signal before and after each row: (len(rows), signals).

    A level is in the signal's unit. The level of a counter is a rate. The plain plan has no levels;
    both arrays then contain the signals' medians in training.
    """
    if detector.guard is None:
        typical_values = np.tile(detector.typical_values, (len(rows), 1))
        return typical_values, typical_values
    return (
        _declared_levels(detector, evidence.reference[rows]),
        _declared_levels(detector, evidence.next_reference[rows]),
    )


def _declared_levels(detector: Detector, levels: NDArray[np.float64]) -> NDArray[np.float64]:
    """Convert levels of the model's signals (rows, model signals) to those of the schema."""
    signals = detector.schema.signals
    columns = [
        levels[:, first]
        if signal.wrap is None
        else np.asarray(
            [
                to_angle(sine, cosine, signal.wrap)
                for sine, cosine in levels[:, first : first + 2].tolist()
            ]
        )
        for signal, first in zip(signals, model_positions(signals), strict=True)
    ]
    return np.stack(columns, axis=1)
