"""What the policy decides about rows: hard limits, and the rules that suppress rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.alarm_rates import AlarmRates
from sensorwatch.common.model.angles import model_positions
from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.policy.rules import WAITING_BIT, WINDOW_BIT
from sensorwatch.common.policy.verdicts import BrokenLimits, find_broken_limits, judge_rows
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.scoring.changes import CHANGE_BITS, RowChanges
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
) -> PolicyRows:
    """Return what the policy says about rows. `is_anomaly`: shape (n,), True for broken limits.

    A rule about deviations does not suppress a row that breaks a hard limit, and only `min_rows` of
    the limit's own rule delays its alarm. A calendar window suppresses it.
    """
    columns = no_policy(len(is_anomaly))
    rows = np.flatnonzero(is_anomaly)
    if policy is None or len(rows) == 0:
        return columns
    matches = policy.sensor_rules.matches(readings.sensor_ids)[readings.sensor[rows]]
    verdicts = judge_rows(
        policy,
        matches,
        readings.event_time[rows],
        row_evidence(inputs, rows),
        inputs.schema.signal_names,
    )
    columns.rule[rows], columns.annotation[rows] = verdicts.rule, verdicts.annotation
    columns.min_rows[rows], columns.waiting_rule[rows] = verdicts.min_rows, verdicts.waiting_rule
    if broken is not None:
        broken_rows = np.flatnonzero(broken.rule)
        is_window = (columns.rule[broken_rows] & WINDOW_BIT) != 0
        columns.rule[broken_rows] = np.where(is_window, columns.rule[broken_rows], 0)
        columns.limit[broken_rows] = broken.rule[broken_rows]
        columns.waiting_rule[broken_rows] = broken.rule[broken_rows] | WAITING_BIT
        columns.min_rows[broken_rows] = broken.min_rows[broken_rows]
        columns.limit_rate[broken_rows] = alarm_rates.budgets[broken.severity[broken_rows]]
    return columns


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
