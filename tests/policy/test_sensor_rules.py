"""Shell globs find the rules of sensors."""

import numpy as np

from sensorwatch.common.policy.sensor_rules import SensorRules
from sensorwatch.common.rows.limits import MAX_SENSORS

GLOBS = ("*", "pump-*", "pump-[12]", "Pump-?")


def test_each_glob_matches_like_a_shell_and_keeps_upper_and_lower_case() -> None:
    matches = SensorRules(GLOBS).matches(("pump-1", "pump-10", "Pump-1", "fan"))

    assert matches.tolist() == [
        [True, True, True, False],
        [True, True, False, False],
        [True, False, False, True],
        [True, False, False, False],
    ]


def test_remembered_sensors_give_the_same_result_as_new_ones() -> None:
    rules, names = SensorRules(GLOBS), tuple(f"pump-{number}" for number in range(30))
    first = rules.matches(names)

    for part in (names[5:9], names[::-1], names, names):
        expected = [first[names.index(name)].tolist() for name in part]
        assert rules.matches(part).tolist() == expected
    assert rules.matches(()).shape == (0, len(GLOBS))


def test_many_sensors_do_not_grow_the_lookup_without_limit() -> None:
    rules, limit = SensorRules(GLOBS), MAX_SENSORS
    rules._row_by_sensor |= dict.fromkeys(map(str, range(limit + 1)), b"")

    assert np.array_equal(rules.matches(("pump-1",)), [[True, True, True, False]])
    assert len(rules._row_by_sensor) == 1
