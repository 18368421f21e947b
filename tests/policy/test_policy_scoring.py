"""What a policy does with the rows of a stream."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from sensorwatch.common.policy.alarm_policy import AlarmPolicy
from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.detections import SEVERITIES, Severity
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.common.scoring.processing import Outcome, score_readings
from sensorwatch.common.scoring.suppression import SUPPRESSIONS, Suppression
from tests.forecasts import ROW_INTERVAL, a_forecast_candidate
from tests.policy.policy_builders import a_policy
from tests.reading_builders import START_TIME

ROWS, SENSORS = 320, 4
FAULT_ROWS = range(60, 66)
"""The faulty rows of each sensor: the fault of sensor-00 is upwards, of sensor-01 downwards."""
CRITICAL, INFO = SEVERITIES.index(Severity.CRITICAL), SEVERITIES.index(Severity.INFO)


@cache
def a_stream() -> Readings:
    """Return rows of four sensors in turn; two of them have a fault in x1, x2 and x3."""
    values = np.random.default_rng(3).normal(size=(ROWS, 3))
    row_of_sensor, sensor = np.arange(ROWS) // SENSORS, np.arange(ROWS) % SENSORS
    is_faulty = np.isin(row_of_sensor, FAULT_ROWS)
    values[is_faulty & (sensor == 0)] += 15.0
    values[is_faulty & (sensor == 1)] -= 15.0
    return Readings(
        np.arange(ROWS, dtype=np.int64),
        START_TIME + ROW_INTERVAL * row_of_sensor,
        sensor.astype(np.int32),
        tuple(f"sensor-{number:02d}" for number in range(SENSORS)),
        values,
        np.empty((ROWS, 0)),
    )


@cache
def a_model() -> Detector:
    return a_forecast_candidate().detector("v")


def score(policy: AlarmPolicy | None) -> Outcome:
    detector = a_model().under(policy)
    return score_readings(a_stream(), [], detector, detector.empty_memory())


def fault_rows(sensor: int) -> np.ndarray:
    return np.asarray([row * SENSORS + sensor for row in FAULT_ROWS])


def suppressed(outcome: Outcome, rows: np.ndarray) -> list[Suppression]:
    return [SUPPRESSIONS[number] for number in outcome.detections.suppression[rows]]


def test_a_policy_without_rules_changes_no_result() -> None:
    plain, under_policy = score(None), score(a_policy(""))

    assert np.array_equal(plain.score_bits, under_policy.score_bits)
    assert plain.closed == under_policy.closed
    assert plain.detections.is_anomaly[fault_rows(0)].all()


def test_a_direction_suppresses_only_the_alarms_in_the_other_direction() -> None:
    outcome = score(a_policy('[[rule]]\nname = "only-high"\ndirection = "high"'))

    detections, policy = outcome.detections, a_policy("")
    assert detections.severity[fault_rows(0)][-1] > INFO
    assert set(suppressed(outcome, fault_rows(1))) == {Suppression.RULE}
    assert set(detections.severity[fault_rows(1)]) == {INFO}
    assert np.array_equal(detections.raw_score, score(policy).detections.raw_score)
    closed = [episode for episode in outcome.closed if episode.sensor_id == "sensor-01"]
    assert {episode.severity for episode in closed} == {Severity.INFO}


@pytest.mark.parametrize(("size", "is_suppressed"), [(5.0, False), (40.0, True)])
def test_a_small_deviation_is_not_an_alarm(size: float, is_suppressed: bool) -> None:
    outcome = score(a_policy(f'[[rule]]\nname = "large"\nmin_deviation = {size}'))

    assert (Suppression.RULE in suppressed(outcome, fault_rows(0))) is is_suppressed


def test_a_rule_about_one_signal_does_not_suppress_a_fault_of_another_signal() -> None:
    outcome = score(a_policy('[[rule]]\nname = "r"\nsignal = "x1"\nmin_deviation = 40'))

    assert Suppression.RULE not in suppressed(outcome, fault_rows(0))


def test_a_rule_applies_to_the_sensors_that_its_pattern_matches() -> None:
    outcome = score(a_policy('[[rule]]\nname = "r"\nsensor = "*-0[1-3]"\nmin_deviation = 40'))

    assert Suppression.RULE not in suppressed(outcome, fault_rows(0))
    assert set(suppressed(outcome, fault_rows(1))) == {Suppression.RULE}


def test_an_episode_becomes_an_alarm_when_it_has_min_rows() -> None:
    outcome = score(a_policy('[[rule]]\nname = "long"\nmin_rows = 3'))

    rows = fault_rows(0)
    detections = outcome.detections
    start = int(detections.episode_rows[rows[0]])
    assert start == 1
    assert suppressed(outcome, rows)[:3] == [Suppression.RULE, Suppression.RULE, Suppression.NONE]
    assert detections.previous_severity[rows[2]] == INFO
    assert detections.severity[rows[2]] > INFO


def test_a_row_beyond_a_limit_is_an_anomaly_without_a_rare_score() -> None:
    policy = a_policy('[[rule]]\nname = "max"\nsignal = "x2"\nhigh_limit = 1.5')
    plain, outcome = score(None), score(policy)

    hits = np.flatnonzero(a_stream().values[:, 1] > 1.5)
    only_limit = hits[~plain.detections.is_anomaly[hits]]
    assert len(only_limit) > 3
    assert outcome.detections.is_anomaly[hits].all()
    assert set(outcome.detections.limit[hits]) == {policy.rules[0].key}
    first_rows = only_limit[outcome.detections.episode_rows[only_limit] == 1]
    assert CRITICAL in outcome.detections.severity[first_rows]
    assert np.array_equal(plain.detections.raw_score, outcome.detections.raw_score)


def test_a_rule_about_deviations_does_not_suppress_a_broken_limit() -> None:
    text = '[[rule]]\nname = "max"\nsignal = "x1"\nhigh_limit = 10\n'
    outcome = score(a_policy(text + '[[rule]]\nname = "large"\nmin_deviation = 100'))

    rows = fault_rows(0)[a_stream().values[fault_rows(0), 0] > 10]
    assert Suppression.RULE not in suppressed(outcome, rows)


def window(action: str, first_row: int, end_row: int) -> str:
    begin, end = (format_instant(START_TIME + ROW_INTERVAL * row) for row in (first_row, end_row))
    return f'[[window]]\nname = "w"\naction = "{action}"\nbegin = {begin}\nend = {end}'


def test_an_alarm_in_a_window_is_suppressed_until_the_window_ends() -> None:
    outcome = score(a_policy(window("suppress", FAULT_ROWS[0], FAULT_ROWS[0] + 2)))

    states = suppressed(outcome, fault_rows(0))
    assert states[:3] == [Suppression.CALENDAR, Suppression.CALENDAR, Suppression.NONE]


def test_an_alarm_that_began_before_a_window_remains_an_alarm() -> None:
    outcome = score(a_policy(window("suppress", FAULT_ROWS[2], FAULT_ROWS[5] + 1)))

    assert set(suppressed(outcome, fault_rows(0))) == {Suppression.NONE}


def test_an_annotated_row_names_the_window_and_keeps_its_severity() -> None:
    policy = a_policy(window("annotate", FAULT_ROWS[0], FAULT_ROWS[-1] + 1))
    plain, outcome = score(None), score(policy)

    rows = fault_rows(0)
    assert {policy.name_of(number) for number in outcome.detections.annotation[rows]} == {"w"}
    assert np.array_equal(plain.detections.severity, outcome.detections.severity)
    assert not np.array_equal(plain.score_bits, outcome.score_bits)


MIXED_POLICY = """
[[rule]]
name = "only-high"
direction = "high"
[[rule]]
name = "long"
min_rows = 2
[[rule]]
name = "max"
signal = "x2"
high_limit = 1.5
low_limit = -2.0
severity = "major"
""" + window("suppress", 62, 70)


@pytest.mark.parametrize("seed", range(5))
def test_cuts_undone_batches_and_snapshots_change_no_result(seed: int) -> None:
    detector = a_model().under(a_policy(MIXED_POLICY))
    expected = score_readings(a_stream(), [], detector, detector.empty_memory())
    random = np.random.default_rng(seed)
    memory: Memory = detector.empty_memory()
    bits, closed, start = [], [], 0
    while start < ROWS:
        stop = min(ROWS, start + int(random.integers(1, 60)))
        part = a_stream().take(slice(start, stop))
        part = replace(part, index=part.index - start)
        memory.begin()
        if random.integers(2):
            score_readings(part, [], detector, memory)
            memory.undo()
        outcome = score_readings(part, [], detector, memory)
        bits.append(outcome.score_bits)
        closed += [replace(episode, index=episode.index + start) for episode in outcome.closed]
        memory = memory_from_bytes(memory_to_bytes(memory), detector)
        start = stop

    assert np.array_equal(np.concatenate(bits), expected.score_bits)
    assert closed == expected.closed
    assert len({*expected.detections.suppression.tolist()}) > 2
