"""Memory: independence of micro-batch boundaries, undo, and the conversion to bytes and back."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.errors import MemoryRefused
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.memory import Memory
from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.common.scoring.memory_layout import (
    NO_ROW_YET,
    FloatColumn,
    IntColumn,
    Layout,
    initial_values,
)
from tests.detection.detection_streams import (
    detection_bytes,
    ended_episodes,
    score_in_batches,
    streams_with_irregular_rows,
)
from tests.nested_json import DEEPLY_NESTED_JSON
from tests.reading_builders import some_readings
from tests.scoring.detectors import DETECTORS

boundary_lists = st.lists(st.integers(0, 60), max_size=6)
sensor_limits = st.sampled_from([1, 2, 3, 100])


def boundaries_within(boundaries: list[int], readings: Readings) -> list[int]:
    return [boundary for boundary in boundaries if boundary <= len(readings)]


@pytest.mark.parametrize("kind", DETECTORS)
@settings(max_examples=100, deadline=None)
@given(
    readings=streams_with_irregular_rows(), boundaries=boundary_lists, sensor_limit=sensor_limits
)
def test_detections_do_not_depend_on_micro_batch_boundaries(
    kind: str, readings: Readings, boundaries: list[int], sensor_limit: int
) -> None:
    detector = DETECTORS[kind]()
    memory_at_once, memory_in_batches = (
        detector.empty_memory(max_sensors=sensor_limit),
        detector.empty_memory(max_sensors=sensor_limit),
    )

    outcomes_at_once = score_in_batches(readings, detector, memory_at_once)
    batches = score_in_batches(
        readings, detector, memory_in_batches, boundaries_within(boundaries, readings)
    )

    assert detection_bytes(batches) == detection_bytes(outcomes_at_once)
    assert ended_episodes(batches) == ended_episodes(outcomes_at_once)
    assert memory_to_bytes(memory_in_batches) == memory_to_bytes(memory_at_once)


@pytest.mark.parametrize("kind", DETECTORS)
@settings(max_examples=100, deadline=None)
@given(
    readings=streams_with_irregular_rows(), boundary=st.integers(0, 60), sensor_limit=sensor_limits
)
def test_undo_restores_the_memory_from_before_the_micro_batch(
    kind: str, readings: Readings, boundary: int, sensor_limit: int
) -> None:
    detector = DETECTORS[kind]()
    memory = detector.empty_memory(max_sensors=sensor_limit)
    score_in_batches(readings.take(slice(0, boundary)), detector, memory)
    bytes_before = memory_to_bytes(memory)

    memory.begin()
    score_in_batches(readings, detector, memory)
    score_in_batches(readings, detector, memory)
    memory.undo()

    assert memory_to_bytes(memory) == bytes_before


@pytest.mark.parametrize("kind", DETECTORS)
@settings(max_examples=50, deadline=None)
@given(readings=streams_with_irregular_rows(), boundary=st.integers(0, 60))
def test_a_memory_restored_from_bytes_scores_the_same(
    kind: str, readings: Readings, boundary: int
) -> None:
    detector = DETECTORS[kind]()
    memory = detector.empty_memory()
    score_in_batches(readings.take(slice(0, boundary)), detector, memory)

    restored_memory = memory_from_bytes(memory_to_bytes(memory), detector)

    assert detection_bytes(
        score_in_batches(readings, detector, restored_memory)
    ) == detection_bytes(score_in_batches(readings, detector, memory))
    assert memory_to_bytes(restored_memory) == memory_to_bytes(memory)


@pytest.mark.parametrize(("old_kind", "new_kind"), [("plain", "forecast"), ("forecast", "plain")])
@settings(max_examples=50, deadline=None)
@given(readings=streams_with_irregular_rows(), boundary=st.integers(0, 60))
def test_undo_restores_the_memory_from_before_a_model_swap(
    old_kind: str, new_kind: str, readings: Readings, boundary: int
) -> None:
    memory = DETECTORS[old_kind]().empty_memory()
    score_in_batches(readings.take(slice(0, boundary)), DETECTORS[old_kind](), memory)
    bytes_before = memory_to_bytes(memory)

    memory.begin()
    memory.adopt(DETECTORS[new_kind]())
    score_in_batches(readings, DETECTORS[new_kind](), memory)
    memory.undo()

    assert memory_to_bytes(memory) == bytes_before


def test_the_least_recently_used_sensor_is_evicted() -> None:
    detector = DETECTORS["plain"]()
    memory = detector.empty_memory(max_sensors=2)
    some_rows = some_readings(5, sensors=3)
    readings = replace(some_rows, sensor=np.asarray([0, 1, 0, 2, 1], dtype=np.int32))

    score_in_batches(readings, detector, memory)

    assert memory.names == ["s1", "s2"]  # the sensor s2 replaced s1, then s1 replaced s0
    assert (memory.sensors, memory.evicted) == (2, 2)


def test_an_open_episode_ends_when_its_sensor_is_evicted() -> None:
    detector = DETECTORS["plain"]()
    rows = some_readings(3, sensors=2)
    values = np.asarray([[9.0] * 3, [9.0] * 3, [0.0] * 3])
    readings = replace(rows, sensor=np.asarray([0, 0, 1], dtype=np.int32), values=values)

    (outcome,) = score_in_batches(readings, detector, detector.empty_memory(max_sensors=1))

    (closed_episode,) = outcome.closed
    assert (
        closed_episode.sensor_id,
        closed_episode.rows,
        closed_episode.index,
        closed_episode.start,
    ) == ("s0", 2, 2, 0)
    assert closed_episode.last_time == readings.event_time[1]


def test_undo_without_begin_is_an_error() -> None:
    with pytest.raises(ValueError, match="undo without begin"):
        DETECTORS["plain"]().empty_memory().undo()


def some_memory() -> Memory:
    detector = DETECTORS["forecast"]()
    memory = detector.empty_memory()
    score_in_batches(some_readings(50), detector, memory)
    return memory


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "first line"),
        (b"{}\n", "first line"),
        (DEEPLY_NESTED_JSON + b"\n", "first line"),
        (b'{"format": 3, "shape": "new"}\n', "is newer than 2"),
        (b'{"format": 1, "shape": "old"}\n', "is older than 2"),
        (memory_to_bytes(some_memory())[:-1], "tables have"),
        (memory_to_bytes(some_memory()) + b"x", "tables have"),
        (memory_to_bytes(DETECTORS["plain"]().empty_memory()), "its layout is"),
    ],
    ids=["empty", "other", "nested", "newer", "older", "short", "long", "plain"],
)
def test_bytes_of_another_memory_are_refused(content: bytes, message: str) -> None:
    with pytest.raises(MemoryRefused, match=message):
        memory_from_bytes(content, DETECTORS["forecast"]())


def bytes_with_columns(
    memory: Memory, *, drop: tuple[str, ...] = (), rename: tuple[str, str] = ("", "")
) -> bytes:
    """Return the bytes of `memory` without some columns, and with one column renamed."""
    text, _, _ = memory_to_bytes(memory).partition(b"\n")
    header, tables = json.loads(text), []
    for key, table in (("float_columns", memory.floats), ("int_columns", memory.ints)):
        kept_positions = [position for position, name in enumerate(header[key]) if name not in drop]
        names = [header[key][position] for position in kept_positions]
        header[key] = [rename[1] if name == rename[0] else name for name in names]
        tables.append(table[: memory.sensors, kept_positions].tobytes())
    return json.dumps(header).encode() + b"\n" + b"".join(tables)


def test_a_column_that_a_snapshot_does_not_have_starts_at_its_initial_value() -> None:
    memory = some_memory()
    content = bytes_with_columns(memory, drop=("cadence_run", "gap_factor", "rows_since_alarm"))

    restored_memory = memory_from_bytes(content, DETECTORS["forecast"]())

    floats, ints = memory.floats[: memory.sensors].copy(), memory.ints[: memory.sensors].copy()
    floats[:, FloatColumn.GAP_FACTOR] = FloatColumn.GAP_FACTOR.initial
    ints[:, IntColumn.CADENCE_RUN] = IntColumn.CADENCE_RUN.initial
    ints[:, IntColumn.ROWS_SINCE_ALARM] = IntColumn.ROWS_SINCE_ALARM.initial
    assert np.array_equal(restored_memory.floats, floats)
    assert np.array_equal(restored_memory.ints, ints)
    assert FloatColumn.GAP_FACTOR.initial > 0
    assert restored_memory.names == memory.names


def test_columns_are_read_by_name_and_not_by_position() -> None:
    memory = some_memory()
    text, _, tables = memory_to_bytes(memory).partition(b"\n")
    header = json.loads(text)
    header["float_columns"].reverse()
    floats_size = 8 * memory.sensors * memory.layout.float_columns
    reversed_floats = memory.floats[: memory.sensors, ::-1].tobytes()
    content = json.dumps(header).encode() + b"\n" + reversed_floats + tables[floats_size:]

    restored_memory = memory_from_bytes(content, DETECTORS["forecast"]())

    assert memory_to_bytes(restored_memory) == memory_to_bytes(memory)


@pytest.mark.parametrize(
    ("new_name", "message"),
    [("mood", 'a column "mood".*newer sensorwatch'), ("cadence", "a column twice")],
)
def test_an_unknown_or_repeated_column_is_refused(new_name: str, message: str) -> None:
    content = bytes_with_columns(some_memory(), rename=("gap_factor", new_name))

    with pytest.raises(MemoryRefused, match=message):
        memory_from_bytes(content, DETECTORS["forecast"]())


def test_every_column_has_another_name_and_an_initial_value() -> None:
    layout = Layout(("x", "y"), ("z",), 30)
    floats, ints = initial_values(layout)

    assert len(set(layout.float_column_names)) == layout.float_columns == len(floats)
    assert len(set(layout.int_column_names)) == layout.int_columns == len(ints)
    assert ints[IntColumn.NEWEST_TIME] == NO_ROW_YET
    assert layout.float_column_names[layout.lags_start] == "lag 1 x"
    assert layout.float_column_names[layout.drift_start] == "drift x"
    assert layout.int_column_names[IntColumn.REPEATS_START + 1] == "repeats y"


def test_lagged_rows_and_newest_times_are_kept_at_a_model_swap() -> None:
    memory, plain_detector = some_memory(), DETECTORS["plain"]()
    layout_before, ints_before = memory.layout, memory.ints.copy()
    lagged_rows = memory.floats[:, layout_before.lags_start : layout_before.drift_start].copy()

    memory.adopt(plain_detector)

    layout = memory.layout
    assert np.array_equal(memory.floats[:, layout.lags_start : layout.drift_start], lagged_rows)
    assert np.array_equal(
        memory.ints[:, IntColumn.NEWEST_TIME], ints_before[:, IntColumn.NEWEST_TIME]
    )
    assert np.array_equal(memory.ints[:, IntColumn.LAG_COUNT], ints_before[:, IntColumn.LAG_COUNT])


def test_a_new_sensor_continues_its_warm_up_at_a_model_swap() -> None:
    detector = DETECTORS["forecast"]()
    rows = replace(some_readings(60, sensors=1), sensor_ids=("new",))
    swapped_memory, expected_memory = detector.empty_memory(), detector.empty_memory()

    score_in_batches(rows.take(slice(0, 20)), detector, swapped_memory)
    swapped_memory.adopt(detector)
    (outcome,) = score_in_batches(rows.take(slice(20, None)), detector, swapped_memory)
    score_in_batches(rows, detector, expected_memory)

    assert (outcome.detections.status == 0).sum() == 60 - 30
    layout = detector.layout
    levels = slice(FloatColumn.LOCATIONS, layout.lags_start)
    assert np.array_equal(swapped_memory.floats[0, levels], expected_memory.floats[0, levels])


def test_after_a_swap_to_other_columns_missing_values_become_the_new_location() -> None:
    detector = DETECTORS["forecast"]()
    renamed_signal = detector.schema.signals[0].model_copy(update={"name": "renamed"})
    signals = (renamed_signal, *detector.schema.signals[1:])
    schema = detector.schema.model_copy(update={"signals": signals})
    levels = replace(detector.levels, location=detector.levels.location + 1_000.0)
    successor_detector = replace(detector, version="next", schema=schema, levels=levels)
    memory, rows = some_memory(), some_readings(60)
    later_rows = rows.take(slice(50, None))
    later_rows.values[:, 1] = np.nan

    memory.adopt(successor_detector)
    (outcome,) = score_in_batches(later_rows, successor_detector, memory)

    assert np.allclose(outcome.readings.values[:, 1], levels.location[1:, 1].mean(), atol=5.0)


@pytest.mark.parametrize("old_kind", DETECTORS)
def test_refractory_rows_do_not_end_an_episode_that_is_open_at_a_model_swap(old_kind: str) -> None:
    rows = some_readings(60, sensors=1)
    values = rows.values.copy()
    values[40:] = 9.0 + 30.0 * np.abs(values[40:])
    rows = replace(rows, values=values)
    successor_detector = DETECTORS["forecast"]()
    assert successor_detector.decision is not None
    successor_detector = replace(
        successor_detector, decision=replace(successor_detector.decision, refractory_rows=100)
    )
    memory = DETECTORS[old_kind]().empty_memory()
    (outcome_before,) = score_in_batches(rows.take(slice(0, 45)), DETECTORS[old_kind](), memory)
    assert outcome_before.detections.is_anomaly[-1]

    memory.adopt(successor_detector)
    (outcome_after,) = score_in_batches(rows.take(slice(45, None)), successor_detector, memory)

    assert outcome_after.detections.is_anomaly[0]
    assert (
        outcome_after.detections.episode_rows[0] == outcome_before.detections.episode_rows[-1] + 1
    )


def test_a_cadence_is_kept_at_a_model_swap_and_the_gap_factor_is_the_new_models() -> None:
    memory, detector = some_memory(), DETECTORS["forecast"]()
    levels = replace(
        detector.levels,
        cadence=detector.levels.cadence * 7,
        gap_factor=detector.levels.gap_factor * 2,
    )
    memory.ints[0, IntColumn.CADENCE_INTERVALS] = 3
    cadence_before = memory.floats[: memory.sensors, FloatColumn.CADENCE].copy()

    memory.adopt(replace(detector, version="next", levels=levels))

    cadence = memory.floats[: memory.sensors, FloatColumn.CADENCE]
    assert cadence[0] == levels.cadence[levels.level_by_sensor[memory.names[0]]]
    assert cadence[1] == cadence_before[1]
    assert np.all(memory.floats[: memory.sensors, FloatColumn.GAP_FACTOR] == 20.0)
