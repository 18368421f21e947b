"""The score of a row: the rarities of its components, combined."""

import numpy as np

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.model.decision import COMPONENTS, RarityTable
from sensorwatch.common.model.tails import look_up_rarity
from sensorwatch.common.scoring.memory_layout import FloatColumn

SMOOTHING = 0.2
"""Weight of the newest row in the exponential smoothing of residuals and scores. The span of the
smoothing is nine rows."""
DRIFT_CLIP = 4.0
"""A whitened residual is clipped to plus or minus this value before it is smoothed."""
MAX_SCORE_IN_SMOOTHING = 12.0
"""A row's score is clipped at this value, in nats, before smoothing, so that a spike does not
prolong an alarm."""
DRIFT_SCALE = float(np.sqrt((2.0 - SMOOTHING) / SMOOTHING))
"""1 divided by the standard deviation of a smoothed residual, if the rows are independent."""

FOREST, DISTANCE, DRIFT, STUCK, SIGNAL = range(len(COMPONENTS))
"""Positions of the components in COMPONENTS."""


@inlined_kernel
def combine_with_memory(float_state, tables, weights, components):  # type: ignore[no-untyped-def]
    """Return the score of a row in nats; update the sensor's smoothed score.

    `components`: shape (len(COMPONENTS),), the values of the components before calibration.
    """
    total = 0.0
    for component in range(SIGNAL):
        total += weights[component] * look_up_rarity(tables[component], components[component])
    sum_rarity = look_up_rarity(tables[RarityTable.RARITY_SUM], total)
    float_state[FloatColumn.SMOOTHED_SCORE] = smooth_score(
        float_state[FloatColumn.SMOOTHED_SCORE], sum_rarity
    )
    smoothed_rarity = look_up_rarity(
        tables[RarityTable.SMOOTHED_SCORE], float_state[FloatColumn.SMOOTHED_SCORE]
    )
    signal_rarity = weights[SIGNAL] * look_up_rarity(tables[RarityTable.SIGNAL], components[SIGNAL])
    return look_up_rarity(
        tables[RarityTable.LARGEST_RARITY], max(sum_rarity, smoothed_rarity, signal_rarity)
    )


@kernel
def largest_signal_rarities(conditional, signal_tables, rarities):  # type: ignore[no-untyped-def]
    """Write the largest rarity of the conditional residuals (n, signals) of each row.

    `signal_tables`: see `Decision.signal_tables`; without tables, the rarities are 0.
    """
    for row in range(len(conditional)):
        largest = 0.0
        for signal in range(len(signal_tables)):
            largest = max(
                largest, look_up_rarity(signal_tables[signal], abs(conditional[row, signal]))
            )
        rarities[row] = largest


@inlined_kernel
def combine_without_memory(tables, forest_score, distance):  # type: ignore[no-untyped-def]
    """Return the score, in nats, of a row that is scored without memory."""
    total = look_up_rarity(tables[RarityTable.NO_MEMORY_FOREST], forest_score)
    total += look_up_rarity(tables[RarityTable.NO_MEMORY_DISTANCE], distance)
    return look_up_rarity(tables[RarityTable.NO_MEMORY_SUM], total)


@inlined_kernel
def smooth_score(smoothed_score, score):  # type: ignore[no-untyped-def]
    """Return the smoothed score after one more row."""
    return smoothed_score + SMOOTHING * (min(score, MAX_SCORE_IN_SMOOTHING) - smoothed_score)


@inlined_kernel
def update_drift(float_state, drift_start, whitened, drift):  # type: ignore[no-untyped-def]
    """Update the smoothed residuals by one row; return the largest in standard deviations."""
    largest_drift = 0.0
    for signal in range(len(whitened)):
        value = min(max(whitened[signal], -DRIFT_CLIP), DRIFT_CLIP)
        float_state[drift_start + signal] += SMOOTHING * (value - float_state[drift_start + signal])
        drift[signal] = float_state[drift_start + signal]
        largest_drift = max(largest_drift, abs(drift[signal]))
    return DRIFT_SCALE * largest_drift
