"""The policy's part in the decision about rows: hard limits, and the rules that suppress rows."""

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
"""Rate of false alarms of a row that breaks no hard limit."""


@dataclass(frozen=True, slots=True)
class PolicyRows:
    """What the policy says about n rows; each array has shape (n,)."""

    limit: NDArray[np.int64]
    """Number of the rule whose hard limit the row breaks; 0 if it breaks none."""
    limit_rate: NDArray[np.float64]
    """Largest number of false alarms per sensor-day that counts for the row: the budget of the
    limit's severity; NO_LIMIT if the row breaks none."""
    rule: NDArray[np.int64]
    """Number of the rule or window that suppresses the row; 0 if there is none."""
    min_rows: NDArray[np.int64]
    """Number of rows from which on the row's episode is an alarm."""
    waiting_rule: NDArray[np.int64]
    """Number of the rule that requires `min_rows`; 0 if there is none."""
    annotation: NDArray[np.int64]
    """Number of the window that annotates the row; 0 if there is none."""


def no_policy(rows: int) -> PolicyRows:
    """Return the columns of rows without a policy, or of rows that it does not concern."""
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
    """Return the rows beyond a hard limit; None without a policy or limits.

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
    """Return what the policy says about rows. `is_anomaly`: shape (n,), with broken limits.

    A rule about deviations does not suppress a row that breaks a hard limit, and only `min_rows` of
    the limit's own rule delays it. A calendar window suppresses it.
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
        hits = np.flatnonzero(broken.rule)
        is_window = (columns.rule[hits] & WINDOW_BIT) != 0
        columns.rule[hits] = np.where(is_window, columns.rule[hits], 0)
        columns.limit[hits] = broken.rule[hits]
        columns.waiting_rule[hits] = broken.rule[hits] | WAITING_BIT
        columns.min_rows[hits] = broken.min_rows[hits]
        columns.limit_rate[hits] = alarm_rates.budgets[broken.severity[hits]]
    return columns


def with_broken_limits(
    changes: RowChanges, broken: BrokenLimits | None, schema: Schema
) -> RowChanges:
    """Return the changes, in which a row beyond a limit shows a change of the limit's signal."""
    if broken is None:
        return changes
    hits = np.flatnonzero(broken.rule)
    positions = np.asarray(model_positions(schema.signals), dtype=np.int64)
    bit = (2 * positions[broken.signal[hits]] + broken.is_high[hits]) % CHANGE_BITS
    changes.leading[hits] = np.int64(1) << bit
    changes.away[hits] |= changes.leading[hits]
    changes.is_back[hits] = False
    return changes
