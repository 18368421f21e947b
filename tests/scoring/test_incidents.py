"""Incidents: overlapping episodes of a group, independent of micro-batches, kept in the memory."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.scoring.memory_bytes import memory_from_bytes, memory_to_bytes
from sensorwatch.common.scoring.open_incidents import MAX_START_DISTANCE
from tests.reading_builders import MINUTE_MICROSECONDS, a_detector
from tests.scoring.detectors import a_forecast_detector
from tests.scoring.grouped_rows import (
    DAY_MINUTES,
    GroupedRow,
    ended_incidents,
    expected_incidents,
    grouped_detector,
    incidents_of,
    score_rows,
)

assert MAX_START_DISTANCE == DAY_MINUTES * MINUTE_MICROSECONDS


def incidents_after(rows: Sequence[GroupedRow]) -> list[int]:
    detector = grouped_detector()
    return incidents_of(score_rows(rows, detector, detector.empty_memory()))


def test_overlapping_episodes_of_a_group_have_the_incident_of_the_first() -> None:
    """The incident stays open after its first episode has closed, while another one is open."""
    rows = [
        GroupedRow("pump-1", 0),
        GroupedRow("pump-2", 1),
        GroupedRow("pump-1", 2, is_anomalous=False),
        GroupedRow("pump-3", 3),
        GroupedRow("pump-2", 4),
    ]

    assert incidents_after(rows) == [0, 0, -1, 0, 0]


def test_an_episode_after_the_end_of_all_others_begins_an_incident() -> None:
    rows = [
        GroupedRow("pump-1", 0),
        GroupedRow("pump-1", 1, is_anomalous=False),
        GroupedRow("pump-2", 2),
        GroupedRow("pump-1", 3),
    ]

    assert incidents_after(rows) == [0, -1, 2, 2]


def test_groups_do_not_share_incidents_and_a_sensor_without_a_group_has_its_own() -> None:
    rows = [
        GroupedRow("pump-1", 0),
        GroupedRow("fan-1", 1),
        GroupedRow("door", 2),
        GroupedRow("pump-2", 3),
        GroupedRow("fan-2", 4),
        GroupedRow("gate", 5),
        GroupedRow("door", 6),
    ]

    assert incidents_after(rows) == [0, 1, 2, 0, 1, 5, 2]


def test_an_episode_that_begins_more_than_a_day_later_does_not_join() -> None:
    """Otherwise all later episodes would join the incident of a sensor that stopped in an alarm."""
    rows = [
        GroupedRow("pump-1", 0),
        GroupedRow("pump-2", DAY_MINUTES),
        GroupedRow("pump-3", DAY_MINUTES + 1),
        GroupedRow("pump-4", DAY_MINUTES + 2),
        GroupedRow("pump-2", DAY_MINUTES + 3),
    ]

    assert incidents_after(rows) == [0, 0, 2, 2, 0]


def test_a_late_row_joins_an_incident_and_no_episode_joins_a_late_row() -> None:
    late_first = [
        GroupedRow("pump-1", 5, is_anomalous=False),
        GroupedRow("pump-1", 4),
        GroupedRow("pump-2", 6),
        GroupedRow("pump-1", 3),
    ]

    assert incidents_after(late_first) == [-1, 1, 2, 2]


def test_without_a_declared_group_each_episode_is_its_own_incident() -> None:
    detector = a_detector()
    memory = detector.empty_memory()
    rows = [GroupedRow("pump-1", 0), GroupedRow("pump-2", 1), GroupedRow("pump-1", 2)]

    (outcome,) = score_rows(rows, detector, memory)

    assert outcome.detections.incident is outcome.detections.episode
    assert not len(memory.incidents)
    assert b"incidents" not in memory_to_bytes(memory)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a-1", "a-2", "a-3", "b-1", "b-2", "c"]),
        st.sampled_from([0, 1, 1, 1, -2, 700]),
        st.sampled_from([True, True, False]),
    ),
    max_size=40,
)


def rows_of(steps: Sequence[tuple[str, int, bool]]) -> list[GroupedRow]:
    minute, rows = 1_000, []
    for sensor_id, minute_step, is_anomalous in steps:
        minute += minute_step
        rows.append(GroupedRow(sensor_id, minute, is_anomalous))
    return rows


@settings(max_examples=25, deadline=None)
@given(steps=ROWS, max_sensors=st.sampled_from([2, 3, 100]), data=st.data())
def test_incidents_do_not_depend_on_micro_batches_undo_or_snapshots(
    steps: list[tuple[str, int, bool]], max_sensors: int, data: st.DataObject
) -> None:
    detector, rows = grouped_detector(), rows_of(steps)
    batch_ends = data.draw(st.lists(st.integers(0, len(rows)), max_size=6).map(sorted))
    memory = detector.empty_memory(max_sensors=max_sensors)

    (outcome,) = score_rows(rows, detector, memory)

    expected_of_rows, expected_of_ended = expected_incidents(rows, [outcome])
    assert incidents_of([outcome]) == expected_of_rows
    assert ended_incidents([outcome]) == expected_of_ended
    cut_memory, cut_outcomes = detector.empty_memory(max_sensors=max_sensors), []
    for start, end in zip([0, *batch_ends], [*batch_ends, len(rows)], strict=True):
        cut_memory.begin()
        score_rows(rows[start:], detector, cut_memory)
        score_rows(rows[start:], detector, cut_memory)
        cut_memory.undo()
        cut_outcomes += score_rows(rows[start:end], detector, cut_memory)
        content = memory_to_bytes(cut_memory)
        cut_memory = memory_from_bytes(content, detector, max_sensors=max_sensors)
        assert memory_to_bytes(cut_memory) == content
    assert incidents_of(cut_outcomes) == expected_of_rows
    assert ended_incidents(cut_outcomes) == expected_of_ended
    assert memory_to_bytes(cut_memory) == memory_to_bytes(memory)


def test_a_new_model_keeps_the_incident_of_each_open_episode() -> None:
    """Here the new model also has other groups: all sensors are in the group "plant"."""
    detector, memory = grouped_detector(), grouped_detector().empty_memory()
    score_rows([GroupedRow("a-1", 0), GroupedRow("b-1", 1), GroupedRow("a-2", 2)], detector, memory)
    successor = grouped_detector(groups={"*": "plant"})

    memory.begin()
    memory.adopt(successor)
    memory.undo()
    memory.adopt(successor)
    outcomes = score_rows(
        [
            GroupedRow("a-2", 3),
            GroupedRow("b-1", 4),
            GroupedRow("c", 5),
            GroupedRow("a-2", 6, is_anomalous=False),
        ],
        successor,
        memory,
    )

    assert incidents_of(outcomes) == [0, 1, 0, -1]
    assert ended_incidents(outcomes) == [(2, 0)]


def test_open_episodes_keep_their_incident_if_the_new_model_has_no_groups() -> None:
    detector, memory = grouped_detector(), grouped_detector().empty_memory()
    score_rows([GroupedRow("a-1", 0), GroupedRow("a-2", 1)], detector, memory)

    memory.adopt(a_detector())
    outcomes = score_rows(
        [GroupedRow("a-2", 2), GroupedRow("a-3", 3), GroupedRow("a-2", 4, is_anomalous=False)],
        a_detector(),
        memory,
    )

    assert incidents_of(outcomes) == [0, 3, -1]
    assert ended_incidents(outcomes) == [(1, 0)]
    assert not len(memory.incidents)


def test_episodes_from_before_the_groups_take_part_in_incidents() -> None:
    memory = a_detector().empty_memory()
    score_rows([GroupedRow("a-1", 0), GroupedRow("door", 1)], a_detector(), memory)

    memory.adopt(grouped_detector())

    assert incidents_of(score_rows([GroupedRow("a-2", 2)], grouped_detector(), memory)) == [0]


def test_the_digest_covers_the_incident_and_is_the_same_without_groups() -> None:
    rows = [GroupedRow("pump-1", 0), GroupedRow("pump-2", 1), GroupedRow("door", 2)]
    grouped, plain = grouped_detector(), a_detector()

    (grouped_outcome,) = score_rows(rows, grouped, grouped.empty_memory())
    (plain_outcome,) = score_rows(rows, plain, plain.empty_memory())

    is_equal = grouped_outcome.score_bits == plain_outcome.score_bits
    assert is_equal.tolist() == [True, False, True]


@pytest.mark.parametrize("batch_ends", [(), (1, 2, 3, 4, 5)])
def test_a_model_with_memory_has_incidents_too(batch_ends: Sequence[int]) -> None:
    detector = grouped_detector(a_forecast_detector(), groups={"s*": "plant"})
    rows = [GroupedRow("s0", 0), GroupedRow("s1", 1), GroupedRow("s0", 2)]

    outcomes = score_rows(rows, detector, detector.empty_memory(), batch_ends[: len(rows)])

    assert incidents_of(outcomes) == [0, 0, 0]
