"""Processing: every record has exactly one outcome, even if its payload has arbitrary bytes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.errors import ModelRefused
from sensorwatch.common.rows.absorption import ABSORBED_REASONS, AbsorbedReason
from sensorwatch.common.rows.rejection import Reason
from sensorwatch.common.scoring.detector import Detector
from sensorwatch.common.scoring.memory_bytes import memory_to_bytes
from sensorwatch.common.scoring.processing import (
    REASONS,
    Outcome,
    OutcomeKind,
    process,
    score_readings,
)
from sensorwatch.common.scoring.stored_detector import detector_from_arrays
from tests.reading_builders import ANOMALOUS_VALUES, NORMAL_VALUES, a_detector, some_readings
from tests.scoring.absorbing import HEARTBEAT, process_with_heartbeats


def a_payload(values: tuple[float, ...] = NORMAL_VALUES, **changes: object) -> bytes:
    row = {"timestamp": "2025-01-01T00:00:00", **dict(zip(("x1", "x2", "x3"), values, strict=True))}
    return json.dumps(row | changes).encode()


payload_lists = st.lists(
    st.none()
    | st.binary(max_size=60)
    | st.sampled_from([a_payload(), a_payload(ANOMALOUS_VALUES), a_payload(x1=None), b"{", b"[]"])
    | st.dictionaries(
        st.sampled_from(["timestamp", "x1", "x2", "x3", "sensor_id"]),
        st.none() | st.floats() | st.text(max_size=8) | st.integers(),
    ).map(lambda row: json.dumps(row).encode()),
    max_size=30,
)


def detector_with_nan_scores() -> Detector:
    """Return a detector whose raw scores are all NaN."""
    detector = a_detector()
    path_lengths = np.where(detector.forest.path_length > 0, np.nan, 0.0)
    return replace(detector, forest=replace(detector.forest, path_length=path_lengths))


def outcome_bytes(outcome: Outcome) -> tuple[object, ...]:
    return (
        outcome.kinds.tobytes(),
        outcome.reasons.tobytes(),
        outcome.score_bits.tobytes(),
        [rejection.faults for rejection in outcome.rejections],
    )


@settings(max_examples=150, deadline=None)
@given(payload_lists)
def test_every_record_has_exactly_one_outcome(payloads: list[bytes | None]) -> None:
    outcome = process(payloads, a_detector(), a_detector().empty_memory())

    scored_indexes = set(outcome.readings.index.tolist())
    rejected_indexes = [rejection.index for rejection in outcome.rejections]
    assert sorted([*scored_indexes, *rejected_indexes]) == list(range(len(payloads)))
    assert outcome.records == len(payloads) == len(outcome.kinds)
    assert rejected_indexes == sorted(rejected_indexes)
    for index in range(len(payloads)):
        is_dead_letter = outcome.kinds[index] == OutcomeKind.DEAD_LETTER
        assert is_dead_letter == (index in rejected_indexes) == (outcome.reasons[index] > 0)
        assert (outcome.score_bits[index] == 0) == is_dead_letter


@settings(max_examples=50, deadline=None)
@given(payloads=payload_lists, boundary=st.integers(0, 30))
def test_outcomes_do_not_depend_on_micro_batch_boundaries(
    payloads: list[bytes | None], boundary: int
) -> None:
    outcome_at_once = process(payloads, a_detector(), a_detector().empty_memory())

    memory = a_detector().empty_memory()
    first_outcome = process(payloads[:boundary], a_detector(), memory)
    second_outcome = process(payloads[boundary:], a_detector(), memory)

    parts = zip(outcome_bytes(first_outcome), outcome_bytes(second_outcome), strict=True)
    joined_bytes = tuple(first_part + second_part for first_part, second_part in parts)  # type: ignore[operator]  # each pair is two `bytes` or two lists
    assert joined_bytes == outcome_bytes(outcome_at_once)


def test_normal_anomalous_and_invalid_records_have_their_outcomes() -> None:
    outcome = process(
        [a_payload(), a_payload(ANOMALOUS_VALUES), b"{"], a_detector(), a_detector().empty_memory()
    )

    kinds = [OutcomeKind.NORMAL, OutcomeKind.ANOMALY, OutcomeKind.DEAD_LETTER]
    assert outcome.kinds.tolist() == kinds
    assert REASONS[outcome.reasons[2] - 1] is Reason.NOT_JSON
    raw_bits = outcome.detections.raw_score.view(np.uint64)
    # The word of an anomaly also depends on its severity, pattern, episode and `is_news`.
    assert (outcome.score_bits[:2] == raw_bits).tolist() == [True, False]
    for name in ("severity", "pattern", "episode", "suppression", "is_news"):
        other_values = getattr(outcome.detections, name) + 1
        other_detections = replace(outcome.detections, **{name: other_values})
        other_bits = replace(outcome, detections=other_detections).score_bits
        assert (other_bits[:2] == outcome.score_bits[:2]).tolist() == [True, False], name


def test_a_row_without_a_finite_score_is_a_dead_letter() -> None:
    outcome = process(
        [b"{", a_payload(), b"["],
        detector_with_nan_scores(),
        detector_with_nan_scores().empty_memory(),
    )

    assert [rejection.reason for rejection in outcome.rejections] == [
        Reason.NOT_JSON,
        Reason.SCORING_FAILED,
        Reason.NOT_JSON,
    ]
    assert outcome.kinds.tolist() == [OutcomeKind.DEAD_LETTER] * 3
    assert outcome.score_bits.tolist() == [0, 0, 0]


def test_a_row_is_rejected_if_its_event_time_is_after_the_receipt() -> None:
    received = 1_735_689_600_000_000  # 2025-01-01T00:00:00Z
    second_later, hour_earlier = received + 1_000_000, received - 3_600_000_000
    rows = [a_payload()] * 3

    outcome = process(
        rows, a_detector(), a_detector().empty_memory(), received=[second_later, hour_earlier, None]
    )

    assert [rejection.index for rejection in outcome.rejections] == [1]
    assert outcome.rejections[0].reason is Reason.FUTURE_TIMESTAMP


def test_score_readings_gives_the_same_scores_as_detect() -> None:
    readings = some_readings(50)

    outcome = score_readings(readings, [], a_detector(), a_detector().empty_memory())

    expected_detections = a_detector().detect(readings, a_detector().empty_memory()).detections
    assert outcome.score_bits.tolist() == expected_detections.raw_score.view(np.uint64).tolist()


def test_a_stored_detector_scores_the_same_bits() -> None:
    detector = a_detector()

    restored_detector = detector_from_arrays("v", detector.schema, detector.plan, detector.arrays())

    readings = some_readings(100, seed=9)
    expected_detections = detector.detect(readings, detector.empty_memory()).detections
    actual_detections = restored_detector.detect(
        readings, restored_detector.empty_memory()
    ).detections
    assert expected_detections.anomaly_score.tobytes() == actual_detections.anomaly_score.tobytes()


@pytest.mark.parametrize(
    "ranges",
    [np.zeros((3, 2)), np.full((3, 3), np.nan), np.zeros(3), None],
    ids=["narrow", "nan", "flat", "absent"],
)
def test_ranges_that_do_not_fit_the_schema_are_refused(ranges: object) -> None:
    detector = a_detector()
    arrays = detector.arrays() | {"signal_ranges": ranges}

    with pytest.raises(ModelRefused, match='the array "signal_ranges" '):
        detector_from_arrays("v", detector.schema, detector.plan, arrays)  # type: ignore[arg-type]  # the test passes a wrong type


def test_a_forest_with_more_features_than_the_plan_is_refused() -> None:
    detector = a_detector()
    plan = replace(detector.plan, features=detector.plan.features[:-1])

    with pytest.raises(ModelRefused, match="5 features, the plan has 4"):
        detector_from_arrays("v", detector.schema, plan, detector.arrays())


def test_an_absorbed_record_is_neither_a_row_nor_a_dead_letter() -> None:
    payloads = [HEARTBEAT, a_payload(), HEARTBEAT, a_payload(ANOMALOUS_VALUES), b"{"]

    outcome = process_with_heartbeats(payloads, a_detector(), a_detector().empty_memory())

    assert outcome.kinds.tolist() == [
        OutcomeKind.ABSORBED,
        OutcomeKind.NORMAL,
        OutcomeKind.ABSORBED,
        OutcomeKind.ANOMALY,
        OutcomeKind.DEAD_LETTER,
    ]
    assert (outcome.records, outcome.rows) == (5, 2)
    filtered = ABSORBED_REASONS.index(AbsorbedReason.FILTERED) + 1
    assert outcome.reasons.tolist()[:4] == [filtered, 0, filtered, 0]
    assert REASONS[outcome.reasons[4] - 1] is Reason.NOT_JSON
    assert outcome.score_bits[[0, 2, 4]].tolist() == [0, 0, 0]


def test_absorbed_records_change_no_score_and_no_position_of_other_records() -> None:
    detector = a_detector()
    memory, expected_memory = detector.empty_memory(), detector.empty_memory()
    rows = [a_payload(timestamp=f"2025-01-01T00:00:{second:02}") for second in range(20)]
    mixed = [payload for row in rows for payload in (HEARTBEAT, row)]
    row_positions = np.arange(1, 40, 2)

    outcome = process_with_heartbeats([*mixed, HEARTBEAT], detector, memory)
    expected = process(rows, detector, expected_memory, positions=row_positions)

    assert outcome.score_bits[row_positions].tolist() == expected.score_bits.tolist()
    assert memory.position == 41
    memory.position = expected_memory.position
    assert memory_to_bytes(memory) == memory_to_bytes(expected_memory)


def test_a_batch_of_absorbed_records_only_advances_the_position() -> None:
    detector = a_detector()
    memory = detector.empty_memory()

    outcome = process_with_heartbeats([HEARTBEAT] * 3, detector, memory)

    assert outcome.kinds.tolist() == [OutcomeKind.ABSORBED] * 3
    assert (outcome.rows, memory.position, memory.clock) == (0, 3, 0)


def outcome_of_rows(index: list[int], row_in_record: list[int], *, records: int) -> Outcome:
    """Return the outcome of records that contain several rows.

    `index`: for each row, the index of its record. `row_in_record`: its index in the record's
    array.
    """
    readings = replace(
        some_readings(len(index)),
        index=np.asarray(index, dtype=np.int64),
        row_in_record=np.asarray(row_in_record, dtype=np.int64),
    )
    return score_readings(
        readings, [], a_detector(), a_detector().empty_memory(), positions=np.arange(records)
    )


def test_a_record_with_several_rows_has_one_outcome_that_depends_on_all_rows() -> None:
    outcome = outcome_of_rows([0, 1, 1, 1, 2], [-1, 0, 1, 2, -1], records=3)
    detections = outcome.detections
    detections.is_anomaly[:] = [False, True, False, False, False]
    row_bits = detections.raw_score.view(np.uint64)

    assert (outcome.records, outcome.rows) == (3, 5)
    assert outcome.kinds.tolist() == [OutcomeKind.NORMAL, OutcomeKind.ANOMALY, OutcomeKind.NORMAL]
    bits = outcome.score_bits.tolist()
    assert [bits[0], bits[2]] == [row_bits[0], row_bits[4]]
    for row in (1, 2, 3):
        changed = replace(detections, raw_score=detections.raw_score.copy())
        changed.raw_score[row] += 1e-9
        assert replace(outcome, detections=changed).score_bits[1] != bits[1]
    swapped = replace(detections, raw_score=detections.raw_score[[0, 2, 1, 3, 4]])
    assert replace(outcome, detections=swapped).score_bits[1] != bits[1]
