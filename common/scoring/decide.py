"""The second pass over the memory: it combines the components of a row into a decision."""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import kernel
from sensorwatch.common.model.decision import COMPONENTS, Decision
from sensorwatch.common.scoring.alarm_state import advance_alarm, is_in_alarm, restart_scores
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.residuals import Residuals
from sensorwatch.common.scoring.score_combination import (
    DISTANCE,
    DRIFT,
    FOREST,
    SIGNAL,
    STUCK,
    combine_with_memory,
    combine_without_memory,
    largest_signal_rarities,
    update_drift,
)
from sensorwatch.common.scoring.sensor_tail import (
    ALARM_ROW_WEIGHT,
    accept_scores,
    adapt_sensor_tail,
    relative_to_sensor_tail,
)
from sensorwatch.common.scoring.status import STATUSES, Status


@dataclass(frozen=True, slots=True)
class RowDecisions:
    """The scores and decisions of n rows."""

    raw_score: NDArray[np.float64]
    """Shape (n,). Combined score, in nats."""
    is_anomaly: NDArray[np.bool_]
    """Shape (n,). Whether the row is in an alarm."""
    novelty: NDArray[np.float64]
    """Shape (n,). Raw score; inside an alarm, its excess over the alarm, see `advance_alarm`."""
    components: NDArray[np.float64]
    """Shape (n, len(COMPONENTS)). Values of the components before calibration."""
    drift: NDArray[np.float64]
    """Shape (n, signals). Smoothed whitened residuals, including this row; 0 without memory."""
    accepts_scores: NDArray[np.bool_]
    """Shape (n,). Whether the scores of the row's alarm count as usual for the sensor's later
    rows."""
    forest_score: NDArray[np.float64]
    """Shape (n,). Raw score of the forest."""


def decide(
    decision: Decision,
    recalled: RecalledRows,
    forest_score: NDArray[np.float64],
    residuals: Residuals,
    memory: Memory,
    *,
    threshold: float,
    guard_score: NDArray[np.float64] | None = None,
) -> RowDecisions:
    """Return the decisions of rows; update scores and alarms in `memory`, in row order.

    `forest_score`: shape (n,), raw scores of the forest. `threshold`: score in nats above which an
    alarm starts. `guard_score`: shape (n,), scores of the level guard in nats; None: no guard.
    """
    n, signals = residuals.whitened.shape
    components = np.zeros((n, len(COMPONENTS)))
    components[:, FOREST], components[:, DISTANCE] = forest_score, residuals.distance
    components[:, STUCK] = residuals.stuck
    largest_signal_rarities(residuals.conditional, decision.signal_tables, components[:, SIGNAL])
    decisions = RowDecisions(
        raw_score=np.empty(n),
        is_anomaly=np.empty(n, dtype=np.bool_),
        novelty=np.empty(n),
        components=components,
        drift=np.zeros((n, signals)),
        accepts_scores=np.zeros(n, dtype=np.bool_),
        forest_score=forest_score,
    )
    rows = _Rows(
        recalled.slots,
        recalled.new_sensor_level,
        recalled.gap,
        recalled.status,
        residuals.whitened,
        components,
        np.zeros(n) if guard_score is None else guard_score,
        recalled.accepts_level,
    )
    parameters = _Parameters(
        decision.tables,
        decision.weights,
        threshold,
        decision.refractory_rows,
        decision.accept_after_rows,
    )
    outputs = _Outputs(
        decisions.raw_score,
        decisions.is_anomaly,
        decisions.novelty,
        decisions.drift,
        decisions.accepts_scores,
    )
    _decide_rows(memory.floats, memory.ints, memory.layout.drift_start, parameters, rows, outputs)
    return decisions


def decide_again(
    decision: Decision,
    components: NDArray[np.float64],
    guard_score: NDArray[np.float64],
    slots: NDArray[np.int64],
    restarts: NDArray[np.bool_],
    *,
    threshold: float,
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Return score and `is_anomaly` (n,) of rows whose components (n, len(COMPONENTS)) are known.

    All rows are scored with memory, in order, from an empty memory on. `guard_score`: shape (n,),
    scores of the level guard in nats. `slots`: shape (n,), the number of each row's sensor.
    `restarts`: shape (n,), True if smoothing restarts: the sensor is new, or the row follows a gap.
    """
    n = len(components)
    sensors = int(slots.max(initial=-1)) + 1
    new_sensor_level = np.full(n, -1, dtype=np.int32)
    new_sensor_level[np.unique(slots, return_index=True)[1]] = 0
    rows = _Rows(
        slots,
        new_sensor_level,
        restarts,
        np.full(n, _SCORED, dtype=np.int8),
        np.zeros((n, 0)),
        components.copy(),
        guard_score,
        np.zeros(n, dtype=np.bool_),
    )
    parameters = _Parameters(
        decision.tables,
        decision.weights,
        threshold,
        decision.refractory_rows,
        decision.accept_after_rows,
    )
    outputs = _Outputs(
        np.empty(n),
        np.empty(n, dtype=np.bool_),
        np.empty(n),
        np.zeros((n, 0)),
        np.zeros(n, dtype=np.bool_),
    )
    _decide_rows(
        np.zeros((sensors, len(FloatColumn))),
        np.zeros((sensors, len(IntColumn)), dtype=np.int64),
        len(FloatColumn),
        parameters,
        rows,
        outputs,
    )
    return outputs.raw_score, outputs.is_anomaly


class _Rows(NamedTuple):
    """The kernel's input of n rows; see `RecalledRows` for shapes and units."""

    slots: NDArray[np.int64]
    new_sensor_level: NDArray[np.int32]
    gaps: NDArray[np.bool_]
    statuses: NDArray[np.int8]
    whitened: NDArray[np.float64]
    """Shape (n, signals), see `Residuals`; (n, 0) if the drift in `components` is known."""
    components: NDArray[np.float64]
    """Shape (n, len(COMPONENTS)). The kernel writes the drift of each row that has memory."""
    guard_score: NDArray[np.float64]
    """Shape (n,). Scores of the level guard, in nats."""
    accepts_level: NDArray[np.bool_]


class _Parameters(NamedTuple):
    """The kernel's parameters; see `Decision`."""

    tables: NDArray[np.float64]
    weights: NDArray[np.float64]
    threshold: float
    refractory_rows: int
    accept_after_rows: int


class _Outputs(NamedTuple):
    """The kernel's output for n rows; see `RowDecisions` for shapes and units."""

    raw_score: NDArray[np.float64]
    is_anomaly: NDArray[np.bool_]
    novelty: NDArray[np.float64]
    drift: NDArray[np.float64]
    accepts_scores: NDArray[np.bool_]


_SCORED, _LATE = STATUSES.index(Status.SCORED), STATUSES.index(Status.LATE)
_MISSING = STATUSES.index(Status.MISSING)


@kernel
def _decide_rows(floats, ints, drift_start, parameters, rows, outputs):  # type: ignore[no-untyped-def]
    slots, new_sensor_level, gaps, statuses, whitened, components, guard_score, accepts_level = rows
    tables, weights, threshold, refractory_rows, accept_after_rows = parameters
    raw_score, is_anomaly, novelty, drift, accepts_scores = outputs
    signals = whitened.shape[1]
    for row in range(len(slots)):
        float_state, int_state = floats[slots[row]], ints[slots[row]]
        is_new_sensor, has_memory = new_sensor_level[row] >= 0, statuses[row] == _SCORED
        is_out_of_order = statuses[row] >= _LATE
        if is_new_sensor or gaps[row]:
            restart_scores(float_state, int_state, is_new_sensor)
            float_state[drift_start : drift_start + signals] = 0.0
        score = 0.0
        if has_memory:
            if signals > 0:
                components[row, DRIFT] = update_drift(
                    float_state, drift_start, whitened[row], drift[row]
                )
            score = combine_with_memory(float_state, tables, weights, components[row])
            row_score = relative_to_sensor_tail(float_state, score)
            relative_score = max(row_score, guard_score[row])
        else:
            row_score = 0.0
            if statuses[row] != _MISSING:
                row_score = combine_without_memory(
                    tables, components[row, FOREST], components[row, DISTANCE]
                )
            relative_score = row_score
        in_alarm = is_in_alarm(
            int_state, relative_score, threshold, refractory_rows, is_out_of_order
        )
        raw_score[row], is_anomaly[row], novelty[row] = relative_score, in_alarm, relative_score
        if has_memory:
            was_in_alarm = int_state[IntColumn.IN_ALARM] == 1
            adapt_sensor_tail(
                float_state, score, ALARM_ROW_WEIGHT if in_alarm and was_in_alarm else 1.0
            )
            accepts_scores[row] = accept_scores(
                float_state, int_state, score, in_alarm, accepts_level[row], accept_after_rows
            )
        if not is_out_of_order:
            novelty[row] = advance_alarm(
                float_state, int_state, relative_score, row_score, in_alarm
            )
