"""The values from which scores were computed, for the explanation of the scores."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.scoring.decide import RowDecisions
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.residuals import Residuals


@dataclass(frozen=True, slots=True)
class ScoreEvidence:
    """The values from which the scores of n rows were computed, used to explain the scores."""

    imputed: NDArray[np.bool_]
    """Shape (n, columns). Whether the value was missing."""
    location: NDArray[np.float64]
    """Shape (n, columns). Location of the sensor's level before the row, in the column's unit."""
    scale: NDArray[np.float64]
    """Shape (n, columns). Scale of the sensor's level before the row, in the column's unit."""
    standardised: NDArray[np.float64]
    """Shape (n, columns). Standardised values: `compress_outliers((value - location) / scale)`."""
    expected: NDArray[np.float64]
    """Shape (n, signals). Forecast of `standardised`; 0 without memory.

    Shape (n, 0) with the plain plan.
    """
    repeats: NDArray[np.int64]
    """Shape (n, signals). Number of exact repeats of the signal's value, up to and including the
    row."""
    drift: NDArray[np.float64]
    """Shape (n, signals). Smoothed whitened residuals, including this row.

    Shape (n, 0) with the plain plan.
    """
    deviation: NDArray[np.float64]
    """Shape (n, signals). Smoothed deviation from the reference level, divided by its usual size.

    Shape (n, 0) with the plain plan.
    """
    reference: NDArray[np.float64]
    """Shape (n, signals). Reference level before the row, in the signal's unit.

    Shape (n, 0) with the plain plan.
    """
    next_reference: NDArray[np.float64]
    """Shape as `reference`. Reference level after the row; it differs if a level was accepted."""
    offset: NDArray[np.float64]
    """Shape (n, signals). Deviation of the value from the reference level and the season, in
    scales; shape (n, 0) with the plain plan."""
    smoothed_offset: NDArray[np.float64]
    """Shape (n, signals). `offset`, smoothed; shape (n, 0) with the plain plan."""
    forest_score: NDArray[np.float64]
    """Shape (n,). Raw score of the forest."""


def score_evidence(
    recalled: RecalledRows, decisions: RowDecisions, row_residuals: Residuals | None
) -> ScoreEvidence:
    """Return the evidence of n rows. `row_residuals`: None with the plain plan."""
    return ScoreEvidence(
        imputed=recalled.imputed,
        location=recalled.location,
        scale=recalled.scale,
        standardised=recalled.standardised,
        expected=(
            np.zeros((len(recalled.slots), 0)) if row_residuals is None else row_residuals.expected
        ),
        repeats=recalled.repeats,
        drift=decisions.drift,
        deviation=recalled.deviation,
        reference=recalled.reference,
        next_reference=recalled.next_reference,
        offset=recalled.offset,
        smoothed_offset=recalled.smoothed_offset,
        forest_score=decisions.forest_score,
    )
