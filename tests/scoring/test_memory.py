"""The memory: the same for any cut, undone on abort, written down and read back."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.errors import MemoryRefused
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_bytes, memory_of
from sensorwatch.common.scoring.memory_layout import Real, Whole
from tests.detection.detection_streams import bits, ended, scored, untidy_streams
from tests.reading_builders import some_readings
from tests.scoring.detectors import DETECTORS

cuts = st.lists(st.integers(0, 60), max_size=6)
bounds = st.sampled_from([1, 2, 3, 100])


def within(chosen: list[int], readings: Readings) -> list[int]:
    return [cut for cut in chosen if cut <= len(readings)]


@pytest.mark.parametrize("kind", DETECTORS)
@settings(max_examples=100, deadline=None)
@given(readings=untidy_streams(), chosen=cuts, bound=bounds)
def test_nothing_depends_on_the_cut(
    kind: str, readings: Readings, chosen: list[int], bound: int
) -> None:
    detector = DETECTORS[kind]()
    one, other = detector.cold(max_sensors=bound), detector.cold(max_sensors=bound)

    whole = scored(readings, detector, one)
    parts = scored(readings, detector, other, within(chosen, readings))

    assert bits(parts) == bits(whole)
    assert ended(parts) == ended(whole)
    assert memory_bytes(other) == memory_bytes(one)


@pytest.mark.parametrize("kind", DETECTORS)
@settings(max_examples=100, deadline=None)
@given(readings=untidy_streams(), cut=st.integers(0, 60), bound=bounds)
def test_an_aborted_micro_batch_leaves_no_trace(
    kind: str, readings: Readings, cut: int, bound: int
) -> None:
    detector = DETECTORS[kind]()
    memory = detector.cold(max_sensors=bound)
    scored(readings.take(slice(0, cut)), detector, memory)
    before = memory_bytes(memory)

    memory.begin()
    scored(readings, detector, memory)
    scored(readings, detector, memory)
    memory.undo()

    assert memory_bytes(memory) == before


@pytest.mark.parametrize("kind", DETECTORS)
@settings(max_examples=50, deadline=None)
@given(readings=untidy_streams(), cut=st.integers(0, 60))
def test_a_memory_read_back_goes_on_as_the_first_one(
    kind: str, readings: Readings, cut: int
) -> None:
    detector = DETECTORS[kind]()
    memory = detector.cold()
    scored(readings.take(slice(0, cut)), detector, memory)

    again = memory_of(memory_bytes(memory), detector)

    assert bits(scored(readings, detector, again)) == bits(scored(readings, detector, memory))
    assert memory_bytes(again) == memory_bytes(memory)


@pytest.mark.parametrize(("of", "to"), [("plain", "forecast"), ("forecast", "plain")])
@settings(max_examples=50, deadline=None)
@given(readings=untidy_streams(), cut=st.integers(0, 60))
def test_a_swap_of_the_model_can_be_undone(of: str, to: str, readings: Readings, cut: int) -> None:
    memory = DETECTORS[of]().cold()
    scored(readings.take(slice(0, cut)), DETECTORS[of](), memory)
    before = memory_bytes(memory)

    memory.begin()
    memory.adopt(DETECTORS[to]())
    scored(readings, DETECTORS[to](), memory)
    memory.undo()

    assert memory_bytes(memory) == before


def test_the_sensor_that_was_silent_longest_has_to_go() -> None:
    detector = DETECTORS["plain"]()
    memory = detector.cold(max_sensors=2)
    rows = some_readings(5, sensors=3)
    order = replace(rows, sensor=np.asarray([0, 1, 0, 2, 1], dtype=np.int32))

    scored(order, detector, memory)

    assert memory.names == ["s1", "s2"]  # s2 took the place of s1, then s1 that of s0
    assert (memory.sensors, memory.evicted) == (2, 2)


def test_an_open_episode_ends_when_its_sensor_has_to_go() -> None:
    detector = DETECTORS["plain"]()
    rows = some_readings(3, sensors=2)
    values = np.asarray([[9.0] * 3, [9.0] * 3, [0.0] * 3])
    order = replace(rows, sensor=np.asarray([0, 0, 1], dtype=np.int32), values=values)

    (outcome,) = scored(order, detector, detector.cold(max_sensors=1))

    (closed,) = outcome.closed
    assert (closed.sensor_id, closed.rows, closed.index, closed.start) == ("s0", 2, 2, 0)
    assert closed.last_time == order.event_time[1]


def test_undo_without_begin_is_an_error() -> None:
    with pytest.raises(ValueError, match="begun"):
        DETECTORS["plain"]().cold().undo()


def some_memory() -> Memory:
    detector = DETECTORS["forecast"]()
    memory = detector.cold()
    scored(some_readings(50), detector, memory)
    return memory


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "first line"),
        (b"{}\n", "first line"),
        (b'{"format": 2, "shape": "new"}\n', "newer"),
        (memory_bytes(some_memory())[:-1], "do not hold"),
        (memory_bytes(some_memory()) + b"x", "do not hold"),
        (memory_bytes(DETECTORS["plain"]().cold()), "wants"),
    ],
    ids=["empty", "other", "newer", "short", "long", "plain"],
)
def test_bytes_that_are_no_memory_of_the_model_are_refused(content: bytes, why: str) -> None:
    with pytest.raises(MemoryRefused, match=why):
        memory_of(content, DETECTORS["forecast"]())


def test_lags_episodes_and_newest_times_outlive_the_model() -> None:
    memory, plain = some_memory(), DETECTORS["plain"]()
    before, wholes = memory.layout, memory.wholes.copy()
    lags = memory.reals[:, before.lags : before.drift].copy()

    memory.adopt(plain)

    layout = memory.layout
    assert np.array_equal(memory.reals[:, layout.lags : layout.drift], lags)
    assert np.array_equal(memory.wholes[:, Whole.TIME], wholes[:, Whole.TIME])
    assert np.array_equal(memory.wholes[:, Whole.HELD], wholes[:, Whole.HELD])


def test_a_swap_does_not_make_a_new_sensor_warm_up_again() -> None:
    detector = DETECTORS["forecast"]()
    rows = replace(some_readings(60, sensors=1), sensor_ids=("new",))
    swapped, steady = detector.cold(), detector.cold()

    scored(rows.take(slice(0, 20)), detector, swapped)
    swapped.adopt(detector)
    (outcome,) = scored(rows.take(slice(20, None)), detector, swapped)
    scored(rows, detector, steady)

    assert (outcome.detections.status == 0).sum() == 60 - 30
    layout = detector.layout
    levels = slice(Real.LEVELS, layout.lags)
    assert np.array_equal(swapped.reals[0, levels], steady.reals[0, levels])


def test_after_other_columns_the_new_location_stands_in_for_what_is_missing() -> None:
    detector = DETECTORS["forecast"]()
    other = detector.schema.signals[0].model_copy(update={"name": "other"})
    signals = (other, *detector.schema.signals[1:])
    schema = detector.schema.model_copy(update={"signals": signals})
    levels = replace(detector.levels, location=detector.levels.location + 1_000.0)
    successor = replace(detector, version="next", schema=schema, levels=levels)
    memory, rows = some_memory(), some_readings(60)
    later = rows.take(slice(50, None))
    later.values[:, 1] = np.nan

    memory.adopt(successor)
    (outcome,) = scored(later, successor, memory)

    assert np.allclose(outcome.readings.values[:, 1], levels.location[1:, 1].mean(), atol=5.0)


@pytest.mark.parametrize("of", DETECTORS)
def test_a_refractory_time_does_not_cut_the_episode_that_is_open_at_a_swap(of: str) -> None:
    rows = some_readings(60, sensors=1)
    values = rows.values.copy()
    values[40:] = 9.0 + 30.0 * np.abs(values[40:])
    rows = replace(rows, values=values)
    to = DETECTORS["forecast"]()
    assert to.decision is not None
    to = replace(to, decision=replace(to.decision, refractory_rows=100))
    memory = DETECTORS[of]().cold()
    (before,) = scored(rows.take(slice(0, 45)), DETECTORS[of](), memory)
    assert before.detections.is_anomaly[-1]

    memory.adopt(to)
    (after,) = scored(rows.take(slice(45, None)), to, memory)

    assert after.detections.is_anomaly[0]
    assert after.detections.episode_rows[0] == before.detections.episode_rows[-1] + 1
