"""What the policy decides about rows: hard limits, and the rules that suppress rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.alarm_rates import AlarmRates
from sensorwatch.common.model.angles import model_positions
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.policy.learned_rows import LearnedRows, learned_rules
from sensorwatch.common.policy.rules import WAITING_BIT, WINDOW_BIT
from sensorwatch.common.policy.verdicts import (
    BrokenLimits,
    RowEvidence,
    find_broken_limits,
    judge_rows,
)
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.sensor_groups import group_reader
from sensorwatch.common.scoring.changes import CHANGE_BITS, RowChanges
from sensorwatch.common.scoring.patterns import PATTERN_TEXTS
from sensorwatch.common.scoring.policy_evidence import RuleInputs, row_evidence
from sensorwatch.common.scoring.recall import RecalledRows

NO_LIMIT = np.inf
"""`PolicyRows.limit_rate` of a row that breaks no hard limit."""


@dataclass(frozen=True, slots=True)
class PolicyRows:
    """What the policy says about n rows; each array has shape (n,)."""

    limit: NDArray[np.int64]
    """Number of the rule whose hard limit the row breaks; 0 if it breaks none."""
    limit_rate: NDArray[np.float64]
    """Upper bound of the row's false alarms per sensor-day: the budget of the limit's severity;
    NO_LIMIT if the row breaks no limit."""
    rule: NDArray[np.int64]
    """Number of the rule or window that suppresses the row; 0 if there is none."""
    min_rows: NDArray[np.int64]
    """Number of rows that the row's episode needs to become an alarm."""
    waiting_rule: NDArray[np.int64]
    """Number of the rule that requires `min_rows`; 0 if there is none."""
    annotation: NDArray[np.int64]
    """Number of the window that annotates the row; 0 if there is none."""


@dataclass(frozen=True, slots=True)
class EpisodeProgress:
    """What is known about the episodes of n rows before the policy acts; shape (n,) each."""

    rows: NDArray[np.int64]
    """Number of anomalous rows of the row's episode so far; 0 for a normal row."""
    pattern: NDArray[np.int8]
    """See `Detections.pattern`."""


def no_policy(rows: int) -> PolicyRows:
    """Return the columns of rows on which no policy acts."""
    return PolicyRows(
        np.zeros(rows, dtype=np.int64),
        np.full(rows, NO_LIMIT),
        *(np.zeros(rows, dtype=np.int64) for _ in range(4)),
    )


def broken_limits(
    policy: AlarmPolicy | None,
    readings: Readings,
    recalled: RecalledRows,
    raw_score: NDArray[np.float64],
    schema: Schema,
) -> BrokenLimits | None:
    """Return the hard limit that each row breaks; None without a policy or limits.

    `readings`: readings of `schema`, with rates in place of counters. A missing value, and a row
    without a finite score, breaks no limit.
    """
    if policy is None or not any(rule.has_limits for rule in policy.rules):
        return None
    is_known = ~recalled.imputed[:, model_positions(schema.signals)]
    is_known &= np.isfinite(raw_score)[:, np.newaxis]
    return find_broken_limits(
        policy,
        policy.sensor_rules.matches(readings.sensor_ids),
        readings.sensor,
        readings.values,
        is_known,
        schema.signal_names,
    )


def policy_rows(
    policy: AlarmPolicy | None,
    readings: Readings,
    broken: BrokenLimits | None,
    is_anomaly: NDArray[np.bool_],
    alarm_rates: AlarmRates,
    inputs: RuleInputs,
    progress: EpisodeProgress | None,
) -> PolicyRows:
    """Return what the policy says about rows. `is_anomaly`: shape (n,), True for broken limits.

    `progress`: None if the policy has no learned suppressions. The rules and windows of the file
    come first. A learned suppression applies to the rows that none of them suppresses.

    A rule about deviations does not suppress a row that breaks a hard limit, and only `min_rows` of
    the limit's own rule delays its alarm. A calendar window suppresses it.
    """
    columns = no_policy(len(is_anomaly))
    rows = np.flatnonzero(is_anomaly)
    if policy is None or len(rows) == 0:
        return columns
    matches = policy.sensor_rules.matches(readings.sensor_ids)[readings.sensor[rows]]
    evidence = row_evidence(inputs, rows)
    verdicts = judge_rows(
        policy,
        matches,
        readings.event_time[rows],
        evidence,
        inputs.schema.signal_names,
    )
    columns.rule[rows], columns.annotation[rows] = verdicts.rule, verdicts.annotation
    columns.min_rows[rows], columns.waiting_rule[rows] = verdicts.min_rows, verdicts.waiting_rule
    if progress is not None:
        learned = _learned_rules(policy, readings, rows, evidence, inputs.schema, progress)
        columns.rule[rows] = np.where(verdicts.rule != 0, verdicts.rule, learned)
    if broken is not None:
        broken_rows = np.flatnonzero(broken.rule)
        is_window = (columns.rule[broken_rows] & WINDOW_BIT) != 0
        columns.rule[broken_rows] = np.where(is_window, columns.rule[broken_rows], 0)
        columns.limit[broken_rows] = broken.rule[broken_rows]
        columns.waiting_rule[broken_rows] = broken.rule[broken_rows] | WAITING_BIT
        columns.min_rows[broken_rows] = broken.min_rows[broken_rows]
        columns.limit_rate[broken_rows] = alarm_rates.budgets[broken.severity[broken_rows]]
    return columns


def _learned_rules(
    policy: AlarmPolicy,
    readings: Readings,
    rows: NDArray[np.int64],
    evidence: RowEvidence,
    schema: Schema,
    progress: EpisodeProgress,
) -> NDArray[np.int64]:
    """Return the number of the learned suppression of each of k rows, 0 if there is none."""
    sensors = readings.sensor[rows].tolist()
    learned_rows = LearnedRows(
        [readings.sensor_ids[sensor] for sensor in sensors],
        readings.event_time[rows],
        progress.rows[rows],
        PATTERN_TEXTS[progress.pattern[rows]].tolist(),
        evidence,
    )
    return learned_rules(
        policy.learned.suppressions, learned_rows, schema.signal_names, group_reader(schema)
    )


def with_broken_limits(
    changes: RowChanges, broken: BrokenLimits | None, schema: Schema
) -> RowChanges:
    """Return `changes`; each row beyond a limit gets a change of the limit's signal."""
    if broken is None:
        return changes
    broken_rows = np.flatnonzero(broken.rule)
    positions = np.asarray(model_positions(schema.signals), dtype=np.int64)
    bit = (2 * positions[broken.signal[broken_rows]] + broken.is_high[broken_rows]) % CHANGE_BITS
    changes.leading[broken_rows] = np.int64(1) << bit
    changes.away[broken_rows] |= changes.leading[broken_rows]
    changes.is_back[broken_rows] = False
    return changes
