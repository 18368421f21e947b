"""A set-point is found by the signals that follow its steps; a measurement is not taken for one."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import schema_from_plain
from sensorwatch.common.rows.set_points import find_set_points, set_point_texts

N = 3_000
Values = NDArray[np.float64]
Random = np.random.Generator


def rows_of(*columns: Values, sensors: int = 1) -> Readings:
    """Return rows of some sensors, one after another in time, in an order that is not by time."""
    n = len(columns[0])
    readings = Readings(
        np.arange(n),
        np.arange(n) * 60_000_000,
        np.arange(n, dtype=np.int32) * sensors // n,
        tuple(f"s{sensor}" for sensor in range(sensors)),
        np.stack(columns, axis=1),
        np.empty((n, 0)),
    )
    return readings.take(np.random.default_rng(0).permutation(n))


def steps_of(random: Random, levels: list[float], length: int = 50) -> Values:
    return np.repeat(random.choice(levels, N // length + 1), length)[:N]


def slow_walk(random: Random, share: float) -> Values:
    values = random.normal(scale=0.1, size=N)
    for row in range(1, N):
        values[row] += share * values[row - 1]
    return values


def delayed(values: Values) -> Values:
    result = values.copy()
    for row in range(1, N):
        result[row] = result[row - 1] + 0.15 * (values[row] - result[row - 1])
    return result


SPEEDS = [1200.0, 1300.0, 1450.0, 1500.0, 1600.0]


def coarse_and_fine(values: Values, random: Random) -> list[Values]:
    """Return two measurements of one quantity, the first of them in whole units."""
    return [np.round(values), values + random.normal(scale=0.1, size=N)]


@pytest.mark.parametrize("levels", [SPEEDS, [0.0, 1.0]])
@pytest.mark.parametrize("sensors", [1, 3])
@pytest.mark.parametrize("seed", range(4))
def test_a_set_point_is_found_with_the_signals_that_follow_it(
    levels: list[float], sensors: int, seed: int
) -> None:
    random = np.random.default_rng(seed)
    command = steps_of(random, levels)
    size = np.ptp(levels)
    pressure = delayed(command) / size + random.normal(scale=0.1, size=N)
    flow = -3.0 * command / size + random.normal(scale=0.3, size=N)
    other = random.normal(size=N)

    (set_point,) = find_set_points(rows_of(pressure, command, other, flow, sensors=sensors))

    assert (set_point.signal, set_point.followers) == (1, (0, 3))


@pytest.mark.parametrize(
    "columns",
    [
        lambda random: [steps_of(random, SPEEDS), slow_walk(random, 0.9)],
        lambda random: coarse_and_fine(slow_walk(random, 0.995), random),
        lambda random: coarse_and_fine(slow_walk(random, 1.0), random),
        lambda random: coarse_and_fine(5.0 * np.sin(np.arange(N) / 100), random),
        lambda random: [np.arange(N) // 50 * 1.0, np.arange(N) / 50 + random.normal(size=N)],
        lambda random: [np.full(N, 7.0), random.normal(size=N)],
    ],
    ids=["unrelated", "coarse", "coarse walk", "coarse cycle", "total", "constant"],
)
@pytest.mark.parametrize("seed", range(4))
def test_other_signals_in_steps_are_no_set_points(
    columns: Callable[[Random], list[Values]], seed: int
) -> None:
    assert find_set_points(rows_of(*columns(np.random.default_rng(seed)))) == []


def test_a_set_point_that_is_sent_only_when_it_changes_is_found() -> None:
    random = np.random.default_rng(5)
    command = steps_of(random, SPEEDS)
    pressure = command / 300 + random.normal(scale=0.1, size=N)
    sent = np.where(np.append(True, np.diff(command) != 0), command, np.nan)

    assert [set_point.signal for set_point in find_set_points(rows_of(sent, pressure))] == [0]


def test_the_sentence_names_the_set_point_and_its_followers() -> None:
    random = np.random.default_rng(6)
    command = np.tile(np.repeat([0.0, 1.0], 50), N // 100)
    schema = schema_from_plain({"signals": [{"name": "rpm"}, {"name": "flow"}]})

    texts = list(set_point_texts(rows_of(command, command + random.normal(size=N)), schema))

    assert texts == [("rpm", "'rpm' moves in steps (59 in 3000 rows), and 'flow' follows it")]


@pytest.mark.parametrize("rows", [0, 1, 5, 40])
def test_few_rows_have_no_set_point(rows: int) -> None:
    command = np.tile([0.0, 1.0], 20)[:rows]
    assert find_set_points(rows_of(command, command * 2.0)) == []
