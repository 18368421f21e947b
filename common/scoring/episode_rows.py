"""The kernel that opens, extends and closes episodes in the memory, row by row."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.kernels import inlined_kernel, kernel
from sensorwatch.common.model.alarm_rates import (
    count_met_budgets,
    false_episodes_per_day,
    level_episodes_per_day,
)
from sensorwatch.common.policy.rules import WAITING_BIT
from sensorwatch.common.scoring.detections import FIRST_SEVERITY
from sensorwatch.common.scoring.memory_layout import FloatColumn, IntColumn
from sensorwatch.common.scoring.news import (
    alike_alarms,
    first_suppression,
    forget_alarms,
    is_above_recent,
    new_changes,
    remember_alarm,
    set_suppression,
    suppression_of,
)


class EpisodeRows(NamedTuple):
    """The kernel's input of n rows; each array has shape (n,)."""

    slots: NDArray[np.int64]
    """Row of the sensor in the memory's tables."""
    new_sensor_level: NDArray[np.int32]
    """0 or more if the row's sensor is new in the memory; see `SlotAssignment`."""
    is_out_of_order: NDArray[np.bool_]
    """Whether the row is late or a duplicate."""
    gap: NDArray[np.bool_]
    """Whether the row is its sensor's first row after a gap."""
    event_time: NDArray[np.int64]
    """Event time in microseconds UTC."""
    positions: NDArray[np.int64]
    """Position of the row in the stream."""
    is_anomaly: NDArray[np.bool_]
    full_score: NDArray[np.float64]
    """Anomaly score that the row would have as the first row of an episode."""
    raw_score: NDArray[np.float64]
    guard_score: NDArray[np.float64]
    """Score of the level guard, in nats."""
    novelty: NDArray[np.float64]
    leading: NDArray[np.int64]
    away: NDArray[np.int64]
    is_back: NDArray[np.bool_]
    cadence: NDArray[np.float64]
    """Typical interval between two rows of the row's sensor, in microseconds."""
    rule: NDArray[np.int64]
    """See `PolicyRows`, like the next three arrays."""
    min_rows: NDArray[np.int64]
    waiting_rule: NDArray[np.int64]
    limit_rate: NDArray[np.float64]


class EpisodeOutputs(NamedTuple):
    """The kernel's output for n rows; see `Episodes` for the first eleven arrays."""

    start: NDArray[np.int64]
    rows: NDArray[np.int64]
    time: NDArray[np.int64]
    peak: NDArray[np.float64]
    rate: NDArray[np.float64]
    severity: NDArray[np.int8]
    previous_severity: NDArray[np.int8]
    suppression: NDArray[np.int8]
    is_news: NDArray[np.bool_]
    alike: NDArray[np.int64]
    rule: NDArray[np.int64]
    ended_episode: NDArray[np.int64]
    """Shape (n, 5). The episode that the row ended: number of rows, start position, start time,
    last time, number of the rule that suppresses it.

    If the row ended no episode, all five values are 0.
    """
    ended_peak: NDArray[np.float64]
    """Shape (n, 2). Highest full score of the episode that the row ended, and its rate."""
    ended_severity: NDArray[np.int8]
    """Shape (n, 2). Severity of the episode that the row ended, and its suppression."""


@kernel
def track_rows(rows, tail, budgets, floats, ints, outputs):  # type: ignore[no-untyped-def]
    """Write the episode of each row into `outputs`; update the two tables of a memory.

    `tail`, `budgets`: see `AlarmRates`. `floats`, `ints`: see `memory_layout`.
    """
    is_out_of_order, is_anomaly = rows.is_out_of_order, rows.is_anomaly
    for row in range(len(is_anomaly)):
        float_state, int_state = floats[rows.slots[row]], ints[rows.slots[row]]
        if rows.new_sensor_level[row] >= 0:
            _end_episode(float_state, int_state, budgets, row, outputs)
            forget_alarms(float_state, int_state)
        if is_out_of_order[row]:
            if is_anomaly[row]:
                _write_separate_episode(rows, tail, budgets, row, outputs)
            continue
        if rows.gap[row] or not is_anomaly[row]:
            _end_episode(float_state, int_state, budgets, row, outputs)
        if is_anomaly[row]:
            _add_row(float_state, int_state, rows, tail, budgets, row, outputs)


@inlined_kernel
def _rate_at_score(rows, tail, row, raw_score):  # type: ignore[no-untyped-def]
    """Return the number of false episodes per day of a clean sensor that reach this raw score.

    Beyond a hard limit, it is at most the budget of the limit's severity.
    """
    rate = false_episodes_per_day(tail, rows.cadence[row], raw_score)
    if rows.guard_score[row] > 0.0:
        rate = min(rate, level_episodes_per_day(rows.cadence[row], rows.guard_score[row]))
    return min(rate, rows.limit_rate[row])


@inlined_kernel
def _suppressing_rule(rows, row, episode_rows):  # type: ignore[no-untyped-def]
    """Return the number of the rule that suppresses a row, 0 if there is none.

    `episode_rows`: number of rows of the row's episode, including the row.
    """
    if rows.rule[row] == 0 and episode_rows < rows.min_rows[row]:
        return rows.waiting_rule[row]
    return rows.rule[row]


@inlined_kernel
def _write_separate_episode(rows, tail, budgets, row, outputs):  # type: ignore[no-untyped-def]
    """Write the episode of an anomalous row that is late or a duplicate."""
    rate = _rate_at_score(rows, tail, row, rows.raw_score[row])
    outputs.start[row], outputs.rows[row] = rows.positions[row], 1
    outputs.time[row], outputs.peak[row] = rows.event_time[row], rows.full_score[row]
    outputs.rate[row] = rate
    outputs.rule[row] = _suppressing_rule(rows, row, 1)
    outputs.severity[row] = FIRST_SEVERITY
    if outputs.rule[row] == 0:
        outputs.severity[row] += count_met_budgets(budgets, rate)
    outputs.alike[row] = 1


@inlined_kernel
def _severity(float_state, int_state, budgets):  # type: ignore[no-untyped-def]
    """Return the severity number of the open episode; a suppressed episode has FIRST_SEVERITY."""
    if suppression_of(int_state) > 0 or int_state[IntColumn.EPISODE_RULE] != 0:
        return FIRST_SEVERITY
    return FIRST_SEVERITY + count_met_budgets(budgets, float_state[FloatColumn.EPISODE_RATE])


@inlined_kernel
def _end_episode(float_state, int_state, budgets, row, outputs):  # type: ignore[no-untyped-def]
    """Close the open episode, and write it as the episode that this row ended."""
    if int_state[IntColumn.EPISODE_ROWS] == 0:
        return
    outputs.ended_episode[row, 0] = int_state[IntColumn.EPISODE_ROWS]
    outputs.ended_episode[row, 1] = int_state[IntColumn.EPISODE_START]
    outputs.ended_episode[row, 2] = int_state[IntColumn.EPISODE_START_TIME]
    outputs.ended_episode[row, 3] = int_state[IntColumn.EPISODE_LAST_TIME]
    outputs.ended_episode[row, 4] = int_state[IntColumn.EPISODE_RULE]
    outputs.ended_peak[row, 0] = float_state[FloatColumn.EPISODE_PEAK_SCORE]
    outputs.ended_peak[row, 1] = float_state[FloatColumn.EPISODE_RATE]
    outputs.ended_severity[row, 0] = _severity(float_state, int_state, budgets)
    outputs.ended_severity[row, 1] = suppression_of(int_state)
    int_state[IntColumn.EPISODE_ROWS] = 0


@inlined_kernel
def _add_row(float_state, int_state, rows, tail, budgets, row, outputs):  # type: ignore[no-untyped-def]
    """Add an anomalous row to the open episode, or begin an episode with it."""
    rate = _rate_at_score(rows, tail, row, rows.raw_score[row])
    was_alarm = False
    rule = _suppressing_rule(rows, row, int_state[IntColumn.EPISODE_ROWS] + 1)
    if int_state[IntColumn.EPISODE_ROWS] == 0:
        int_state[IntColumn.EPISODE_START] = rows.positions[row]
        int_state[IntColumn.EPISODE_START_TIME] = rows.event_time[row]
        float_state[FloatColumn.EPISODE_PEAK_SCORE] = 0.0
        float_state[FloatColumn.EPISODE_RATE] = rate
        set_suppression(int_state, first_suppression(
            float_state, int_state, rows.event_time[row], rows.cadence[row], rows.leading[row],
            rows.is_back[row], rate, budgets,
        ))  # fmt: skip
        int_state[IntColumn.EPISODE_RULE] = rule
    else:
        outputs.previous_severity[row] = _severity(float_state, int_state, budgets)
        was_suppressed_by_rule = int_state[IntColumn.EPISODE_RULE] != 0
        was_alarm = not was_suppressed_by_rule and (
            count_met_budgets(budgets, float_state[FloatColumn.EPISODE_RATE]) > 0
        )
        if (
            was_suppressed_by_rule
            and rule == 0
            and not int_state[IntColumn.EPISODE_RULE] & WAITING_BIT
        ):
            # The rows that a rule suppressed do not count for the severity.
            float_state[FloatColumn.EPISODE_RATE] = rate
        float_state[FloatColumn.EPISODE_RATE] = min(float_state[FloatColumn.EPISODE_RATE], rate)
        novel_rate = false_episodes_per_day(tail, rows.cadence[row], rows.novelty[row])
        is_news = (
            count_met_budgets(budgets, novel_rate) > 0
            and new_changes(int_state, rows.leading[row], rows.away[row], rows.is_back[row]) != 0
        )
        outputs.is_news[row] = is_news and was_alarm
        if suppression_of(int_state) > 0 and (
            is_news or is_above_recent(float_state, rate, budgets)
        ):
            set_suppression(int_state, 0)
        # A rule can suppress an episode only from its first row on: an alarm remains an alarm.
        if was_suppressed_by_rule:
            int_state[IntColumn.EPISODE_RULE] = rule
    int_state[IntColumn.EPISODE_ROWS] += 1
    int_state[IntColumn.EPISODE_LAST_TIME] = rows.event_time[row]
    float_state[FloatColumn.EPISODE_PEAK_SCORE] = max(
        float_state[FloatColumn.EPISODE_PEAK_SCORE], rows.full_score[row]
    )
    episode_rate = float_state[FloatColumn.EPISODE_RATE]
    # No person has seen an alarm that a rule suppresses, so a similar alarm is not a repeat of it.
    if int_state[IntColumn.EPISODE_RULE] == 0 and count_met_budgets(budgets, episode_rate) > 0:
        remember_alarm(
            float_state, int_state, rows.event_time[row], rows.cadence[row], rows.leading[row],
            rows.away[row], rows.is_back[row], episode_rate, budgets, not was_alarm,
        )  # fmt: skip
    _write_row(float_state, int_state, budgets, row, outputs)


@inlined_kernel
def _write_row(float_state, int_state, budgets, row, outputs):  # type: ignore[no-untyped-def]
    """Write the state of the open episode as the output of one of its rows."""
    outputs.start[row] = int_state[IntColumn.EPISODE_START]
    outputs.rows[row] = int_state[IntColumn.EPISODE_ROWS]
    outputs.time[row] = int_state[IntColumn.EPISODE_START_TIME]
    outputs.peak[row] = float_state[FloatColumn.EPISODE_PEAK_SCORE]
    outputs.rate[row] = float_state[FloatColumn.EPISODE_RATE]
    outputs.severity[row] = _severity(float_state, int_state, budgets)
    outputs.suppression[row] = suppression_of(int_state)
    outputs.alike[row] = max(alike_alarms(int_state), 1)
    outputs.rule[row] = int_state[IntColumn.EPISODE_RULE]
