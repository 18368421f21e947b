"""Items of a request in long form are joined to rows, as on a topic with the same records."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.api.predict_response import OnError
from sensorwatch.common.rows.record_declarations import PayloadFormat
from sensorwatch.common.rows.schema import load_schema
from sensorwatch.common.scoring.processing import process
from tests.api.item_requests import (
    LONG_FORM,
    RECEIVED,
    START_SECONDS,
    a_detector_with,
    a_schema_with,
    answer_of,
    payloads_of,
    problem_of,
    row,
    scored_entries,
    scores_in_answer,
    scores_in_topic,
    value,
)
from tests.reading_builders import a_detector

FAR_FUTURE = 10**8
values = st.builds(
    value,
    st.integers(0, 300),
    st.sampled_from(["x1", "x2", "x3", "other", 7]),
    st.sampled_from([0.1, 5, -1.5, None, "bad"]),
    st.sampled_from(["s0", "s1", "s2"]),
)
records = st.one_of(
    values,
    st.builds(lambda elements: {"values": elements}, st.lists(values, max_size=4)),
    st.builds(lambda second: row(second, pump="s1"), st.integers(0, 300)),
)


def joined_from(answer: dict[str, Any]) -> list[tuple[int, int | None, list[int] | None]]:
    return [
        (entry["index"], entry.get("row"), entry.get("items")) for entry in scored_entries(answer)
    ]


def test_the_values_of_a_sensor_and_bucket_are_joined_within_the_request() -> None:
    items = [
        value(0, "x1", 1),
        value(1, "x1", 2, "s1"),
        value(10, "x2", 3),
        value(61, "x3", 4),
        value(70, "x2", 5, "s1"),
    ]

    answer = answer_of(a_detector_with(**LONG_FORM), items, on_error=OnError.REJECT)

    assert joined_from(answer) == [(2, 0, [0, 2]), (1, 0, [1]), (3, 0, [3]), (4, 0, [4])]
    assert [(entry["sensor_id"], entry["event_time"]) for entry in answer["rows"]] == [
        ("s0", "2025-01-01T00:00:00Z"),
        ("s1", "2025-01-01T00:00:00Z"),
        ("s0", "2025-01-01T00:01:00Z"),
        ("s1", "2025-01-01T00:01:00Z"),
    ]
    assert (answer["scored"], answer["rejected"], answer.get("ignored")) == (4, 0, None)


def test_a_late_value_and_an_ignored_value_have_entries_of_their_own() -> None:
    items = [value(0, "x1", 1), value(61, "x1", 2), value(5, "x2", 3), value(62, "other", 1)]

    answer = answer_of(a_detector_with(**LONG_FORM), items)

    late, ignored = (entry for entry in answer["rows"] if "raw_score" not in entry)
    assert (late["index"], late["errors"][0]["reason"]) == (2, "late")
    assert ignored == {"index": 3, "ignored": "filtered"}
    assert [entry[2] for entry in joined_from(answer)] == [[0], [1]]
    problem = problem_of(a_detector_with(**LONG_FORM), items)
    assert [(error["index"], error["pointer"]) for error in problem["errors"]] == [
        (2, "#/rows/2/x2")
    ]


def test_without_buckets_each_item_has_its_own_rows() -> None:
    long_form = {"name": "metric", "value": "v"}
    schema = {"rows": "values[*]", "key": {"field": "pump"}, "long_form": long_form}
    items = [
        {"values": [value(0, "x1", 1), value(5, "x1", 2), value(0, "x2", 3)]},
        value(0, "x3", 1),
        row(9, pump="s0"),
    ]

    answer = answer_of(a_detector_with(**schema), items)

    assert joined_from(answer) == [(0, 0, [0]), (0, 1, [0]), (1, 0, [1]), (2, None, None)]


def test_a_bucket_with_values_of_history_and_rows_is_in_the_answer() -> None:
    history = [value(0, "x1", 1), value(60, "x1", 1)]

    answer = answer_of(a_detector_with(**LONG_FORM), [value(61, "x2", 2)], history=history)

    assert joined_from(answer) == [(0, 0, [-1, 0])]


@pytest.mark.parametrize("bucket_seconds", [None, 60])
@pytest.mark.parametrize("has_history", [False, True])
@settings(max_examples=40, deadline=None)
@given(items=st.lists(records, min_size=2, max_size=15), grace=st.sampled_from([0, 30]))
def test_request_and_topic_compute_bit_identical_scores(
    bucket_seconds: int | None, items: list[object], grace: int, *, has_history: bool
) -> None:
    long_form = {"name": "metric", "value": "v", "grace_seconds": grace}
    if bucket_seconds:
        long_form["bucket_seconds"] = bucket_seconds
    key = {"field": "pump"}
    detector = a_detector_with(rows="values[*]", key=key, long_form=long_form)
    payloads = payloads_of([*items, value(FAR_FUTURE, "x1", 1, "last")])

    outcome = process(
        payloads, detector, detector.empty_memory(), received=[RECEIVED] * len(payloads)
    )
    answer = answer_of(detector, items)

    expected = [scores for scores in scores_in_topic(outcome) if scores[0] != "last"]
    assert scores_in_answer(answer) == expected
    rejected = {entry["index"] for entry in answer["rows"] if "errors" in entry}
    assert sorted(rejected) == [rejection.index for rejection in outcome.rejections]
    if has_history and not rejected:
        # A row with values of the history alone is not in the answer.
        expected_after_history = [
            scores
            for scores, (index, _, joined) in zip(expected, joined_from(answer), strict=True)
            if any(item > 0 for item in joined or [index])
        ]
        answer = answer_of(detector, items[1:], history=items[:1])
        assert scores_in_answer(answer) == expected_after_history


def test_values_count_for_the_limit_of_a_request() -> None:
    schema = {**LONG_FORM, "rows": "values[*]"}
    items = [{"values": [value(0, "x1", 1), value(1, "x1", 1)]}] * 2

    assert answer_of(a_detector_with(**schema), items, max_rows=4)["scored"] == 1
    assert problem_of(a_detector_with(**schema), items, max_rows=3)["status"] == 413


def test_the_episode_of_a_joined_row_is_named_by_the_last_item_of_its_first_row() -> None:
    detector = replace(a_detector(), schema=a_schema_with(**LONG_FORM))
    items = [value(60 * minute, name, 9.0) for minute in range(2) for name in ("x1", "x2", "x3")]

    answer = answer_of(detector, items)

    assert [(entry["index"], entry["items"]) for entry in answer["rows"]] == [
        (2, [0, 1, 2]),
        (5, [3, 4, 5]),
    ]
    assert [(entry["episode_start"], entry["episode_start_row"]) for entry in answer["rows"]] == [
        (2, 0)
    ] * 2


def senml_detector_schema() -> dict[str, Any]:
    plain = load_schema(Path("schemas/payloads/senml.toml")).to_plain()
    return {key: plain[key] for key in ("rows", "payload", "key", "time", "long_form")}


def test_senml_packs_are_items() -> None:
    detector = a_detector_with(**senml_detector_schema())
    assert detector.schema.payload is PayloadFormat.SENML
    pack = [
        {"bn": "s0", "bt": START_SECONDS, "n": "x1", "v": 1},
        {"n": "x2", "v": 2},
        {"n": "x1", "t": 60, "v": "high"},
        {"n": "x1", "t": 120, "v": 1},
    ]
    relative_pack = [{"bn": "s1", "n": "x1", "t": -60, "v": 1}]
    payloads = payloads_of([pack, relative_pack])

    outcome = process(payloads, detector, detector.empty_memory(), received=[RECEIVED] * 2)
    answer = answer_of(detector, [pack, relative_pack])

    assert scores_in_answer(answer) == scores_in_topic(outcome)
    assert joined_from(answer) == [(0, 0, [0]), (0, 1, [0]), (1, 0, [1])]
    [bad_value] = [entry for entry in answer["rows"] if "errors" in entry]
    assert (bad_value["index"], bad_value["row"]) == (0, 2)
    assert bad_value["errors"][0]["pointer"] == "#/rows/0/2/v"
    assert json.dumps(answer["rows"][-1]["event_time"]) == '"2025-01-01T00:59:00Z"'
