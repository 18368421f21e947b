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
from sensorwatch.common.scoring.episode_numbers import episode_row_numbers
from sensorwatch.common.scoring.episodes import Episodes, ScoredRows, track_episodes
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.patterns import UNUSUAL, track_patterns
from sensorwatch.common.scoring.policy_evidence import RuleInputs
from sensorwatch.common.scoring.policy_rows import (
    EpisodeProgress,
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
    pattern: NDArray[np.int8]
    """Shape (n,). See `Detections.pattern`."""


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
    progress = None
    if policy is not None and policy.learned.suppressions:
        numbers = episode_row_numbers(rows.recalled, is_anomaly, memory)
        progress = EpisodeProgress(numbers, _patterns(detector, rows, numbers, memory))
    by_policy = policy_rows(
        policy, rows.readings, broken, is_anomaly, detector.alarm_rates, inputs, progress
    )
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
    pattern = (
        _patterns(detector, rows, episodes.rows, memory) if progress is None else progress.pattern
    )
    return RowAlarms(is_anomaly, by_policy, episodes, pattern)


def _patterns(
    detector: Detector, rows: DecidedRows, episode_rows: NDArray[np.int64], memory: Memory
) -> NDArray[np.int8]:
    """Return the pattern (n,) of each row's episode so far; see `Detections.pattern`.

    The columns of the memory that this pass uses are not used by `track_episodes`, so it may run
    before or after.
    """
    if detector.forecast is None or rows.residuals is None:
        return np.where(episode_rows > 0, UNUSUAL, 0).astype(np.int8)
    return track_patterns(
        rows.recalled,
        rows.residuals,
        rows.decisions.drift,
        episode_rows,
        detector.forecast,
        detector.guard,
        memory,
    )


def _changes(detector: Detector, rows: DecidedRows, is_anomaly: NDArray[np.bool_]) -> RowChanges:
    if detector.forecast is None or rows.residuals is None:
        return no_changes(len(is_anomaly))
    return row_changes(
        rows.recalled, rows.residuals, rows.decisions.drift, is_anomaly, detector.forecast
    )
