"""The alarms of scored rows: broken limits, the policy's rules, and the episodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.calibration import to_anomaly_scores
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.sensor_groups import group_reader
from sensorwatch.common.scoring.changes import RowChanges, no_changes, row_changes
from sensorwatch.common.scoring.decide import RowDecisions
from sensorwatch.common.scoring.episodes import Episodes, ScoredRows, track_episodes
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.policy_evidence import RuleInputs
from sensorwatch.common.scoring.policy_rows import (
    PolicyRows,
    broken_limits,
    policy_rows,
    with_broken_limits,
)
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.residuals import Residuals

if TYPE_CHECKING:
    from sensorwatch.common.scoring.detector import Detector


@dataclass(frozen=True, slots=True)
class DecidedRows:
    """n rows with their scores, before their alarms are known."""

    readings: Readings
    """The readings, with counters replaced by rates."""
    model_readings: Readings
    """The readings as the model sees them."""
    positions: NDArray[np.int64]
    """Shape (n,). Positions of the readings in their stream."""
    recalled: RecalledRows
    residuals: Residuals | None
    """None with the plain plan."""
    guard_score: NDArray[np.float64]
    """Shape (n,). Score of the level guard, in nats."""
    decisions: RowDecisions


@dataclass(frozen=True, slots=True)
class RowAlarms:
    """The alarms of n rows."""

    is_anomaly: NDArray[np.bool_]
    """Shape (n,). See `Detections.is_anomaly`."""
    by_policy: PolicyRows
    episodes: Episodes


def track_alarms(detector: Detector, rows: DecidedRows, memory: Memory) -> RowAlarms:
    """Return the alarms of rows; open, extend and close episodes in `memory`, in row order.

    The policy makes the rows that break a hard limit anomalous, and suppresses rows by its rules.
    """
    decisions, policy, schema = rows.decisions, detector.policy, detector.schema
    broken = broken_limits(policy, rows.readings, rows.recalled, decisions.raw_score, schema)
    is_anomaly = decisions.is_anomaly
    if broken is not None:
        is_anomaly = is_anomaly | (broken.rule != 0)
    inputs = RuleInputs(
        schema,
        rows.model_readings,
        rows.recalled,
        rows.residuals,
        decisions.drift,
        detector.forecast,
        detector.guard,
        detector.ranges,
    )
    by_policy = policy_rows(policy, rows.readings, broken, is_anomaly, detector.alarm_rates, inputs)
    changes = _changes(detector, rows, is_anomaly)
    episodes = track_episodes(
        rows.readings,
        rows.recalled,
        rows.positions,
        ScoredRows(
            is_anomaly,
            decisions.raw_score,
            to_anomaly_scores(decisions.raw_score, detector.calibration).anomaly_score,
            rows.guard_score,
            decisions.novelty,
            with_broken_limits(changes, broken, schema),
            by_policy,
        ),
        detector.alarm_rates,
        memory,
        group_reader(schema),
    )
    return RowAlarms(is_anomaly, by_policy, episodes)


def _changes(detector: Detector, rows: DecidedRows, is_anomaly: NDArray[np.bool_]) -> RowChanges:
    if detector.forecast is None or rows.residuals is None:
        return no_changes(len(is_anomaly))
    return row_changes(
        rows.recalled, rows.residuals, rows.decisions.drift, is_anomaly, detector.forecast
    )
