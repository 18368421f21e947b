"""Items of a request with fields that a topic has outside of the payload."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.common.rows.values import ABSENT
from sensorwatch.common.scoring.processing import process
from tests.api.item_requests import (
    RECEIVED,
    START_SECONDS,
    a_detector_with,
    answer_of,
    payloads_of,
    problem_of,
    row,
    scores_in_answer,
    scores_in_topic,
)

TIME = {"field": "@timestamp", "format": "epoch_ms"}


def test_a_flat_row_has_them_beside_its_other_fields() -> None:
    detector = a_detector_with(key={"field": ["@topic.1", "@key"]}, ignore={"@header.kind": "beat"})
    outside = {"@topic.1": "line2", "@key": "p1"}

    answer = answer_of(
        detector, [row(0) | outside, row(60) | outside | {"@header.kind": "beat"}, row(60)]
    )

    assert answer["rows"][0]["sensor_id"] == "line2/p1"
    assert answer["rows"][1] == {"index": 1, "ignored": "filtered"}
    [error] = answer["rows"][2]["errors"]
    assert (error["pointer"], error["reason"]) == ("#/rows/2/@topic.1", "missing_field")


def test_a_payload_that_is_an_array_has_them_beside_it() -> None:
    detector = a_detector_with(rows="[*]", key={"field": "@key"}, time=TIME)
    elements = [{"x1": 1.0, "x2": 0.5, "x3": 0.1}, {"x1": "high", "x2": 0.5, "x3": 0.1}]
    item = {"@key": "s0", "@timestamp": START_SECONDS * 1_000, "@value": elements}

    answer = answer_of(detector, [item])

    assert (answer["scored"], answer["rejected"]) == (1, 1)
    assert answer["rows"][0]["sensor_id"] == "s0"
    assert answer["rows"][0]["event_time"] == "2025-01-01T00:00:00Z"
    assert answer["rows"][1]["errors"][0]["pointer"] == "#/rows/0/@value/1/x1"


sources = st.fixed_dictionaries(
    {},
    optional={
        "@key": st.sampled_from(["s0", "s1", "", "a" * 201]),
        "@timestamp": st.integers(0, 900).map(lambda second: (START_SECONDS + second) * 1_000),
        "@header.kind": st.sampled_from(["beat", "row"]),
    },
)
payloads = st.sampled_from(
    [
        {"x1": 1.0, "x2": 0.5, "x3": 0.1},
        {"x1": 1.0, "x2": 0.5, "x3": "x"},
        {"values": [{"x1": 1.0, "x2": 0.5, "x3": 0.1}, {"x1": 2, "x2": 0.5, "x3": 0.1}]},
        {"values": [{"x1": 1.0, "x2": 0.5, "x3": 0.1, "@key": "forged"}], "@key": "forged"},
        [{"x1": 1.0, "x2": 0.5, "x3": 0.1}],
        None,
        7,
    ]
)


@pytest.mark.parametrize("rows", ["", "values[*]", "[*]"])
@settings(max_examples=60, deadline=None)
@given(items=st.lists(st.tuples(payloads, sources), min_size=1, max_size=8))
def test_request_and_topic_compute_bit_identical_scores(
    rows: str, items: list[tuple[object, dict[str, object]]]
) -> None:
    detector = a_detector_with(
        rows=rows,
        key={"field": "@key"},
        time=TIME,
        ignore={"@header.kind": "beat"},
        tombstones="ignore",
    )
    records = payloads_of([payload for payload, _ in items])
    absent = dict.fromkeys(detector.schema.source_names, ABSENT)

    outcome = process(
        [None if record == b"null" else record for record in records],
        detector,
        detector.empty_memory(),
        received=[RECEIVED] * len(items),
        sources=[absent | values for _, values in items],
    )
    answer = answer_of(detector, [{**values, "@value": payload} for payload, values in items])

    assert scores_in_answer(answer) == scores_in_topic(outcome)
    rejected = {entry["index"] for entry in answer["rows"] if "errors" in entry}
    assert sorted(rejected) == [rejection.index for rejection in outcome.rejections]
    ignored = [entry["index"] for entry in answer["rows"] if "ignored" in entry]
    assert ignored == outcome.absorbed.index.tolist()


@pytest.mark.parametrize("key", [True, 1.5, None, [], {"a": 1}, [[]] * 70, "x" * 5_000, ""])
def test_a_key_of_another_form_is_rejected(key: object) -> None:
    detector = a_detector_with(rows="[*]", key={"field": "@key"})
    items = [{"@key": key, "@value": [row(0)]}, {"@key": 1, "@value": [row(0)]}]

    problem = problem_of(detector, items)

    [error] = problem["errors"]
    assert (error["index"], error["pointer"]) == (0, "#/rows/0/@key")
    assert error["reason"] in ("bad_key", "null_value")


def test_no_element_can_set_a_field_from_outside_the_payload() -> None:
    detector = a_detector_with(rows="values[*]", key={"field": "@key"})
    forged: dict[str, Any] = {"values": [row(0, **{"@key": "forged"})], "@key": "forged"}

    problem = problem_of(detector, [{"@value": forged}])

    assert [error["pointer"] for error in problem["errors"]] == ["#/rows/0/@key"]


def test_without_such_fields_in_the_schema_value_is_a_field_like_any_other() -> None:
    detector = a_detector_with(unknown_fields="reject")

    problem = problem_of(detector, [row(0) | {"@value": row(0)}])

    assert problem["errors"][0]["reason"] == "unknown_field"


def test_numbers_that_are_not_finite_are_faults_of_their_field() -> None:
    detector = a_detector_with(rows="[*]", key={"field": "@key"})

    problem = problem_of(detector, [{"@key": "s0", "@value": [row(0, float("nan")), row(60)]}])

    assert [(error["row"], error["reason"]) for error in problem["errors"]] == [(0, "not_finite")]
