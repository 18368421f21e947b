"""The state of each sensor, as `sensorwatch sensors` lists it."""

import time

import numpy as np

from sensorwatch.commands.sensors_command import _cells
from sensorwatch.common.kafka.records import Partition
from sensorwatch.common.scoring.detections import Severity
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.processing import process
from sensorwatch.common.scoring.silence_rule import SilenceRule
from sensorwatch.state.sensor_states import SensorState, sensor_states, worst_first
from tests.forecasts import a_forecast_candidate
from tests.policy.policy_builders import a_policy
from tests.publishing.test_episode_events import a_row_payload
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, START_TIME, a_detector

PARTITION = Partition("sensors", 3)
RULE = SilenceRule(check_seconds=60, after_seconds=600)
DETECTOR = a_detector()


def a_memory() -> Memory:
    """Return a memory in which sensor b is silent, c has an alarm, and a is well."""
    memory = DETECTOR.empty_memory(silence_rule=RULE)
    payloads = [a_row_payload("b", minute) for minute in (0, 2)]
    payloads += [
        a_row_payload(sensor, minute, ANOMALOUS_VALUES if values else NORMAL_VALUES)
        for minute in range(20)
        for sensor, values in (("a", False), ("c", minute >= 17))
    ]
    process(payloads, DETECTOR, memory)
    return memory


def states_of(memory: Memory) -> list[SensorState]:
    return worst_first(sensor_states(PARTITION, memory, DETECTOR), Severity.CRITICAL)


def test_silent_sensors_come_first_and_sensors_without_an_alarm_last() -> None:
    silent, alarmed, well = states_of(a_memory())

    assert [silent.sensor_id, alarmed.sensor_id, well.sensor_id] == ["b", "c", "a"]
    assert (silent.status, silent.alarm) == ("silent", "")
    assert silent.last == "2025-01-01T00:02:00Z"
    assert silent.silent_seconds == 17 * 60
    assert silent.silent_after_seconds == 600.0
    assert silent.cadence_seconds == 120.0
    assert alarmed.status == alarmed.alarm
    assert alarmed.alarm in {severity.value for severity in Severity}
    assert (alarmed.alarm_start, alarmed.alarm_rows) == ("2025-01-01T00:17:00Z", 3)
    assert (well.status, well.alarm, well.alarm_start, well.alarm_rows) == ("ok", "", "", 0)
    assert (well.topic, well.partition) == ("sensors", 3)
    assert list(well.level) == ["x1", "x2", "x3"]


def test_a_sensor_whose_clock_differs_from_the_others_is_skewed() -> None:
    """The rows of sensor d are dated two hours before their receipt, the others one second."""
    memory = DETECTOR.empty_memory(silence_rule=RULE)
    delays = {"a": 1.0, "b": 1.0, "c": 1.0, "d": 7_201.0}
    payloads, received = [], []
    for minute in range(20):
        for sensor, delay in delays.items():
            payloads.append(a_row_payload(sensor, minute))
            received.append(START_TIME + int((minute * 60 + delay) * 1e6))

    process(payloads, DETECTOR, memory, received=received)

    skews = {state.sensor_id: state.skew_seconds for state in states_of(memory)}
    assert skews == {"a": 0.0, "b": 0.0, "c": 0.0, "d": -7_200.0}


def test_5000_sensors_take_less_than_a_second() -> None:
    memory = DETECTOR.empty_memory(silence_rule=RULE)
    process([a_row_payload(f"s{n}", n / 5_000) for n in range(5_000)], DETECTOR, memory)

    begin = time.perf_counter()
    states = states_of(memory)

    assert time.perf_counter() - begin < 1.0
    assert len(states) == 5_000
    assert np.all([state.status == "ok" for state in states])


def test_a_signal_that_repeats_its_value_for_long_has_a_flat_line() -> None:
    detector = a_forecast_candidate().detector("v")
    memory = detector.empty_memory()
    values = np.random.default_rng(5).normal(size=(40, 3))
    values[30:, 1] = values[30, 1]
    payloads = [
        a_row_payload("sensor-01", minute, row) for minute, row in enumerate(values.tolist())
    ]

    process(payloads[:31], detector, memory)
    (before,) = sensor_states(PARTITION, memory, detector)
    process(payloads[31:], detector, memory)
    (after,) = sensor_states(PARTITION, memory, detector)

    assert before.flat_rows == {}
    assert after.flat_rows == {"x2": 9}
    assert "x2 flat for 9 rows" in _cells(after)[1]


def test_a_sensor_that_the_policy_calls_never_silent_is_not_listed_as_silent() -> None:
    policy = a_policy('[[silence]]\nname = "spare"\nsensor = "b"\nsilence = false')

    states = sensor_states(PARTITION, a_memory(), DETECTOR.under(policy))

    assert {state.sensor_id: state.status for state in states}["b"] == "ok"
