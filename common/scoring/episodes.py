"""The episodes of a stream: consecutive anomalous rows of one sensor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.alarm_rates import AlarmRates
from sensorwatch.common.policy.rules import WINDOW_BIT
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.sensor_groups import GroupReader
from sensorwatch.common.scoring.changes import RowChanges
from sensorwatch.common.scoring.detections import SEVERITIES, ClosedEpisode
from sensorwatch.common.scoring.episode_rows import EpisodeOutputs, EpisodeRows, track_rows
from sensorwatch.common.scoring.incidents import track_incidents
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.policy_rows import PolicyRows
from sensorwatch.common.scoring.recall import RecalledRows
from sensorwatch.common.scoring.status import STATUSES, Status
from sensorwatch.common.scoring.suppression import SUPPRESSIONS, Suppression

_LATE = STATUSES.index(Status.LATE)
_RULE, _CALENDAR = (SUPPRESSIONS.index(s) for s in (Suppression.RULE, Suppression.CALENDAR))


@dataclass(frozen=True, slots=True)
class Episodes:
    """The episode of each of n rows, and the episodes that ended."""

    start: NDArray[np.int64]
    """Shape (n,). Stream position of the first row of the row's episode; see
    `Detections.episode`."""
    rows: NDArray[np.int64]
    """Shape (n,). Number of rows of the row's episode so far; see `Detections.episode_rows`."""
    time: NDArray[np.int64]
    """Shape (n,). Event time of the first row of the row's episode; see
    `Detections.episode_time`."""
    peak: NDArray[np.float64]
    """Shape (n,). Highest full score of the row's episode so far; see `Detections.episode_peak`."""
    rate: NDArray[np.float64]
    """Shape (n,). See `Detections.episode_rate`."""
    severity: NDArray[np.int8]
    """Shape (n,). See `Detections.severity`."""
    previous_severity: NDArray[np.int8]
    """Shape (n,). See `Detections.previous_severity`."""
    suppression: NDArray[np.int8]
    """Shape (n,). See `Detections.suppression`."""
    is_news: NDArray[np.bool_]
    """Shape (n,). See `Detections.is_news`."""
    alike: NDArray[np.int64]
    """Shape (n,). See `Detections.alike`."""
    incident: NDArray[np.int64]
    """Shape (n,). See `Detections.incident`."""
    rule: NDArray[np.int64]
    """Shape (n,). See `Detections.rule`."""
    closed: list[ClosedEpisode]
    """The episodes that ended, in ascending order of `ClosedEpisode.index`."""


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """The scores of n rows; each array has shape (n,)."""

    is_anomaly: NDArray[np.bool_]
    raw_score: NDArray[np.float64]
    full_score: NDArray[np.float64]
    """Anomaly score that the row would have as the first row of an episode."""
    guard_score: NDArray[np.float64]
    """Score of the level guard, in nats."""
    novelty: NDArray[np.float64]
    """Score of the row; inside an alarm, its excess over the alarm's score. See
    `RowDecisions.novelty`."""
    changes: RowChanges
    """The unusual signals and their directions."""
    policy: PolicyRows


def track_episodes(
    readings: Readings,
    recalled: RecalledRows,
    positions: NDArray[np.int64],
    scored: ScoredRows,
    alarm_rates: AlarmRates,
    memory: Memory,
    group_of: GroupReader | None,
) -> Episodes:
    """Return the episodes of rows; open, extend and close episodes in `memory`.

    An episode ends with its sensor's first normal row, with the first row after a gap, or when the
    sensor is evicted. An anomalous row that is late or a duplicate is a separate episode; the end
    of this episode is not reported.

    An episode without a new fault has the severity `info` until a row shows a new fault (see
    `news`).

    `positions`: shape (n,), positions of the readings in their stream. `group_of`: see
    `track_incidents`.
    """
    n = len(readings)
    rows = EpisodeRows(
        slots=recalled.slots,
        new_sensor_level=recalled.new_sensor_level,
        is_out_of_order=recalled.status >= _LATE,
        gap=recalled.gap,
        event_time=readings.event_time,
        positions=positions,
        is_anomaly=scored.is_anomaly,
        full_score=scored.full_score,
        raw_score=scored.raw_score,
        guard_score=scored.guard_score,
        novelty=scored.novelty,
        leading=scored.changes.leading,
        away=scored.changes.away,
        is_back=scored.changes.is_back,
        cadence=np.where(recalled.cadence > 0.0, recalled.cadence, alarm_rates.cadence),
        rule=scored.policy.rule,
        min_rows=scored.policy.min_rows,
        waiting_rule=scored.policy.waiting_rule,
        limit_rate=scored.policy.limit_rate,
    )
    outputs = EpisodeOutputs(
        start=np.full(n, -1, dtype=np.int64),
        rows=np.zeros(n, dtype=np.int64),
        time=np.zeros(n, dtype=np.int64),
        peak=np.zeros(n),
        rate=np.zeros(n),
        severity=np.zeros(n, dtype=np.int8),
        previous_severity=np.zeros(n, dtype=np.int8),
        suppression=np.zeros(n, dtype=np.int8),
        is_news=np.zeros(n, dtype=np.bool_),
        alike=np.zeros(n, dtype=np.int64),
        rule=np.zeros(n, dtype=np.int64),
        ended_episode=np.zeros((n, 5), dtype=np.int64),
        ended_peak=np.zeros((n, 2)),
        ended_severity=np.zeros((n, 2), dtype=np.int8),
    )
    track_rows(rows, alarm_rates.tail, alarm_rates.budgets, memory.floats, memory.ints, outputs)
    incidents = track_incidents(readings, rows.is_out_of_order, outputs, memory, group_of)
    closed = _closed_episodes(readings, recalled, positions, outputs, incidents.ended_start)
    return Episodes(
        outputs.start,
        outputs.rows,
        outputs.time,
        outputs.peak,
        outputs.rate,
        outputs.severity,
        outputs.previous_severity,
        _suppressions(outputs.suppression, outputs.rule),
        outputs.is_news,
        outputs.alike,
        incidents.start,
        outputs.rule,
        closed,
    )


def _suppressions(suppression: NDArray[np.int8], rule: NDArray[np.int64]) -> NDArray[np.int8]:
    """Return the suppression (n,) of rows; a rule (n,) takes precedence over the model's reason."""
    if not rule.any():
        return suppression
    by_policy = np.where(rule & WINDOW_BIT, _CALENDAR, _RULE)
    return np.where(rule != 0, by_policy, suppression).astype(np.int8)


def _closed_episodes(
    readings: Readings,
    recalled: RecalledRows,
    positions: NDArray[np.int64],
    outputs: EpisodeOutputs,
    incident_of_ended: NDArray[np.int64],
) -> list[ClosedEpisode]:
    rows = np.flatnonzero(outputs.ended_episode[:, 0])
    return [
        _closed_episode(readings, recalled, positions, *episode)
        for episode in zip(
            rows.tolist(),
            outputs.ended_episode[rows].tolist(),
            outputs.ended_peak[rows].tolist(),
            outputs.ended_severity[rows].tolist(),
            incident_of_ended[rows].tolist(),
            strict=True,
        )
    ]


def _closed_episode(
    readings: Readings,
    recalled: RecalledRows,
    positions: NDArray[np.int64],
    row: int,
    ended_episode: list[int],
    ended_peak: list[float],
    ended_severity: list[int],
    incident: int,
) -> ClosedEpisode:
    rows, start, start_time, last_time, rule = ended_episode
    peak, rate = ended_peak
    severity, suppression = ended_severity
    if rule:
        suppression = _CALENDAR if rule & WINDOW_BIT else _RULE
    sensor_id = recalled.evicted.get(row) or readings.sensor_ids[readings.sensor[row]]
    return ClosedEpisode(
        index=int(readings.index[row]),
        position=int(positions[row]),
        closed_time=int(readings.event_time[row]),
        sensor_id=sensor_id,
        start=start,
        start_time=start_time,
        last_time=last_time,
        rows=rows,
        peak=peak,
        rate=rate,
        severity=SEVERITIES[severity],
        suppression=SUPPRESSIONS[suppression],
        incident=incident,
        rule=rule,
    )
