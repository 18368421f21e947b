"""Tests of the simulated pumps, and of the figures about the alarms of a fault."""

import numpy as np

from benchmarks.quality.alarms.episodes import TrueFault, episode_table, match
from benchmarks.quality.alarms.pump_alarms import FaultAlarm, fault_alarm, silence_delays
from benchmarks.quality.alarms.pump_day import FLOW, PUMPS, SLOW_RISE, STUCK, pump_day
from benchmarks.quality.alarms.scored_rows import ScoredRows
from sensorwatch.common.scoring.detections import SEVERITIES, Severity
from sensorwatch.common.scoring.silence_rule import SensorSilence

MINUTE = 60_000_000
WARNING, CRITICAL = SEVERITIES.index(Severity.WARNING), SEVERITIES.index(Severity.CRITICAL)


def alarm_of(fault: TrueFault, severity_by_minute: list[int]) -> FaultAlarm:
    """Return the alarm of a fault of sensor 0 whose rows have these severities."""
    severity = np.array(severity_by_minute, dtype=np.int8)
    rows = ScoredRows(
        sensor=np.zeros(len(severity), dtype=np.int32),
        event_time=MINUTE * np.arange(len(severity)),
        raw_score=severity.astype(np.float64),
        anomaly_score=severity.astype(np.float64),
        severity=severity,
        episode=np.where(severity > 0, 0, -1),
    )
    episodes = episode_table(rows)
    matches = match(episodes, [fault], margin=0)
    return fault_alarm(
        fault, rows, episodes, matches.episodes_by_fault[0], matches.near_episodes_by_fault[0]
    )


def test_delays_count_from_the_first_faulty_row_and_open_minutes_from_the_last() -> None:
    fault = TrueFault(STUCK, 0, 2 * MINUTE, 6 * MINUTE)

    alarm = alarm_of(fault, [0, 0, 0, WARNING, CRITICAL, CRITICAL, CRITICAL, CRITICAL, CRITICAL])

    assert (alarm.any_delay, alarm.critical_delay, alarm.minutes_open) == (1.0, 2.0, 2.0)
    assert (alarm.episodes, alarm.alarms) == (1, 1)


def test_an_episode_below_warning_is_no_alarm_of_its_fault() -> None:
    alarm = alarm_of(TrueFault(STUCK, 0, 2 * MINUTE, 6 * MINUTE), [0, 0, 0, WARNING - 1, 0, 0, 0])

    assert (alarm.episodes, alarm.alarms) == (1, 0)


def test_a_fault_without_an_alarm_has_no_figures() -> None:
    alarm = alarm_of(TrueFault(STUCK, 0, 2 * MINUTE, 6 * MINUTE), [WARNING, *[0] * 9])

    assert (alarm.any_delay, alarm.critical_delay, alarm.minutes_open) == (None, None, None)


def test_a_critical_alarm_of_the_slow_rise_after_three_hours_is_too_late() -> None:
    fault = TrueFault(SLOW_RISE, 0, 0, 300 * MINUTE)

    late_alarm = alarm_of(fault, [WARNING] * 181 + [CRITICAL] * 119)
    alarm_in_time = alarm_of(fault, [WARNING] * 180 + [CRITICAL] * 120)

    assert late_alarm.critical_delay is None
    assert alarm_in_time.critical_delay == 180.0


def test_equal_seeds_give_equal_pumps_and_the_faults_are_in_the_rows() -> None:
    day, same_day, other_day = pump_day(3), pump_day(3), pump_day(4)

    values = day.rows.readings.values
    assert values.tobytes() == same_day.rows.readings.values.tobytes()
    assert values.tobytes() != other_day.rows.readings.values.tobytes()
    judged = day.rows.judged
    assert len(judged) == PUMPS * 8_640 - 720
    (stuck,) = (fault for fault in day.faults if fault.name == STUCK)
    is_stuck = (
        (judged.sensor == stuck.sensor)
        & (judged.event_time >= stuck.first_time)
        & (judged.event_time <= stuck.last_time)
    )
    assert is_stuck.sum() == 360
    assert np.nanstd(judged.values[is_stuck][:, FLOW]) == 0.0


def test_the_delays_of_a_silence_count_from_the_last_row_and_from_the_next_row() -> None:
    """The silent pump's last row is at minute 839 and 50 seconds, its next row at minute 960."""
    last = 840 * MINUTE - MINUTE // 6
    silences = [
        a_silence("other", last=7 * MINUTE, time=11 * MINUTE, is_back=False),
        a_silence("pump", last=last, time=842 * MINUTE, is_back=False),
        a_silence("pump", last=last, time=961 * MINUTE, is_back=True),
    ]

    assert silence_delays(silences, 0) == (2 + 1 / 6, 1.0, 1)
    assert silence_delays([], 0) == (None, None, 0)


def a_silence(sensor: str, *, last: int, time: int, is_back: bool) -> SensorSilence:
    return SensorSilence(
        index=0,
        position=0,
        time=time,
        sensor_id=sensor,
        last=last,
        silent_time=time - last,
        cadence=MINUTE,
        severity="critical",
        begin_position=0,
        number=0,
        is_back=is_back,
    )
