"""Items of a request with arrays of rows get the scores that a topic's records get."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.api.predict_response import OnError
from sensorwatch.common.scoring.processing import process
from tests.api.item_requests import (
    ARRAYS,
    RECEIVED,
    a_detector_with,
    a_schema_with,
    answer_of,
    payloads_of,
    problem_of,
    row,
    scores_in_answer,
    scores_in_topic,
)
from tests.reading_builders import a_detector

NO_ROWS: dict[str, object] = {"pump": "s0", "values": []}
elements: st.SearchStrategy[list[object]] = st.lists(
    st.builds(row, st.integers(0, 900), st.sampled_from([0.1, 0.5, -2.0, 9.0, None, "bad", "[]"]))
    | st.sampled_from([7, None, [], {}, row(5, pump="s1"), row(6, more=1)]),
    max_size=6,
)
records = st.one_of(
    st.builds(lambda values: {"pump": "s0", "values": values}, elements),
    st.builds(lambda values: {"d": {"values": values}, "pump": True}, elements),
    st.builds(lambda second: row(second, pump="s1"), st.integers(0, 900)),
    st.sampled_from([{"kind": "heartbeat"}, {"values": 7}, 7, NO_ROWS, "[", [[]]]),
)


def places_of(answer: dict[str, Any]) -> list[tuple[int, int | None]]:
    return [(entry["index"], entry.get("row")) for entry in answer["rows"]]


def test_each_row_is_named_by_its_item_and_its_place_in_the_array() -> None:
    items = [
        {"pump": "s0", "values": [row(0), row(60)]},
        row(60, pump="s1"),
        {"pump": "s0", "values": [row(120), row(180), row(240)]},
    ]

    answer = answer_of(a_detector_with(**ARRAYS), items)

    assert places_of(answer) == [(0, 0), (0, 1), (1, None), (2, 0), (2, 1), (2, 2)]
    assert (answer["scored"], answer["rejected"]) == (6, 0)
    assert "ignored" not in answer
    assert [entry["sensor_id"] for entry in answer["rows"]] == ["s0", "s0", "s1", "s0", "s0", "s0"]


@pytest.mark.parametrize("path", ["values[*]", "d.values[*]", "[*]", "values[*].x2[*]"])
@settings(max_examples=40, deadline=None)
@given(items=st.lists(records, min_size=1, max_size=8), has_policy=st.booleans())
def test_request_and_topic_compute_bit_identical_scores(
    path: str, items: list[object], has_policy: bool
) -> None:
    detector = a_detector_with(
        rows=path,
        key={"field": "pump", "optional": True},
        ignore={"kind": "heartbeat"},
        order={"late": "reject", "duplicate": "reject"} if has_policy else {},
        unknown_fields="reject" if has_policy else "ignore",
    )
    payloads = payloads_of(items)

    outcome = process(
        payloads, detector, detector.empty_memory(), received=[RECEIVED] * len(payloads)
    )
    answer = answer_of(detector, items)

    assert scores_in_answer(answer) == scores_in_topic(outcome)
    rejected_items = {entry["index"] for entry in answer["rows"] if "errors" in entry}
    assert sorted(rejected_items) == [rejection.index for rejection in outcome.rejections]
    ignored_items = [entry["index"] for entry in answer["rows"] if "ignored" in entry]
    assert ignored_items == outcome.absorbed.index.tolist()
    assert places_of(answer) == sorted(
        places_of(answer), key=lambda place: (place[0], place[1] or 0)
    )


def test_a_bad_element_is_skipped_and_its_neighbours_are_scored() -> None:
    items = [row(0, pump="s1"), {"pump": "s0", "values": [row(0), row(60, "high"), row(120), 7]}]

    answer = answer_of(a_detector_with(**ARRAYS), items)

    assert (answer["scored"], answer["rejected"]) == (3, 2)
    assert places_of(answer) == [(0, None), (1, 0), (1, 1), (1, 2), (1, 3)]
    errors = [entry["errors"] for entry in answer["rows"] if "errors" in entry]
    assert [
        [(error["pointer"], error["reason"]) for error in row_errors] for row_errors in errors
    ] == [
        [("#/rows/1/values/1/x1", "wrong_type")],
        [("#/rows/1/values/3", "not_object")],
    ]


def test_the_problem_lists_item_and_row_of_each_bad_element() -> None:
    items = [{"pump": "s0", "values": [row(0), row(60, "high")]}, {"values": [row(0)]}, 5]

    problem = problem_of(a_detector_with(**ARRAYS), items)

    assert problem["status"] == 422
    assert "3 rows or values, in 3 of 3 items, cannot be scored" in problem["detail"]
    assert [
        (error["index"], error.get("row"), error["pointer"]) for error in problem["errors"]
    ] == [
        (0, 1, "#/rows/0/values/1/x1"),
        (1, 0, "#/rows/1/values/0/pump"),
        (2, None, "#/rows/2"),
    ]


@pytest.mark.parametrize(
    ("path", "item", "pointer"),
    [
        ("d.values[*]", {"d": {"values": [row(0, "x")]}, "pump": "s"}, "/d/values/0/x1"),
        ("d.values[*]", {"d.values": [row(0, "x")], "pump": "s"}, "/d.values/0/x1"),
        ("values[*]", {"values": [row(0)], "pump": {}}, "/pump"),
        ("values[*]", {"values": 7, "pump": "s"}, "/values"),
        ("[*]", [row(0, pump="s"), row(1, "x", pump="s")], "/1/x1"),
        (
            "g[*].v[*]",
            {"pump": "s", "g": [{"v": [row(0)]}, {"v": [row(1), row(2, "x")]}]},
            "/g/1/v/1/x1",
        ),
        ("g[*].v[*]", {"pump": "s", "g": [{"v": [row(0)]}, {}]}, "/g/1/v"),
        ("g[*].v[*]", {"g": [{"pump": "", "v": [row(0)]}]}, "/g/0/pump"),
        ("[*][*]", [[row(0, pump="s")], [row(1, "x", pump="s")]], "/1/0/x1"),
    ],
)
def test_pointers_lead_through_arrays_to_the_field(path: str, item: object, pointer: str) -> None:
    detector = a_detector_with(rows=path, key={"field": "pump"})

    problem = problem_of(detector, [item])

    assert [error["pointer"] for error in problem["errors"]] == [f"#/rows/0{pointer}"]


def test_elements_that_are_arrays_have_pointers_to_their_positions() -> None:
    signals = [{"name": name, "field": str(n)} for n, name in enumerate(("x1", "x2", "x3"), 1)]
    time = {"field": "0", "format": "epoch_s"}
    detector = a_detector_with(rows="values[*]", time=time, signals=signals)

    answer = answer_of(detector, [{"values": [[0, 1, 2, 3], [60, 1, "x", 3]]}])

    assert answer["scored"] == 1
    assert answer["rows"][1]["errors"][0]["pointer"] == "#/rows/0/values/1/2"


def test_ignored_items_and_empty_arrays_are_counted_and_are_no_errors() -> None:
    detector = a_detector_with(**ARRAYS, ignore={"kind": "heartbeat"}, tombstones="ignore")
    items = [NO_ROWS, row(0, pump="s0"), {"kind": "heartbeat"}, None, row(60, pump="s0")]

    answer = answer_of(detector, items, on_error=OnError.REJECT)

    assert (answer["scored"], answer["rejected"], answer["ignored"]) == (2, 0, 3)
    ignored = [entry for entry in answer["rows"] if "ignored" in entry]
    assert ignored == [
        {"index": 0, "ignored": "no_rows"},
        {"index": 2, "ignored": "filtered"},
        {"index": 3, "ignored": "tombstone"},
    ]
    assert [entry["index"] for entry in answer["rows"]] == [0, 1, 2, 3, 4]


def test_flat_items_are_ignored_too_and_those_of_the_history_are_not_listed() -> None:
    detector = a_detector_with(ignore={"kind": ["heartbeat"]})
    heartbeat = {"kind": "heartbeat"}

    answer = answer_of(detector, [heartbeat, row(60)], history=[row(0), heartbeat])

    assert answer["ignored"] == 1
    assert [entry["index"] for entry in answer["rows"]] == [0, 1]
    assert answer["rows"][0] == {"index": 0, "ignored": "filtered"}


def test_null_is_a_bad_row_unless_the_schema_ignores_tombstones() -> None:
    answer = answer_of(a_detector_with(), [None])

    assert answer["rows"][0]["errors"][0]["reason"] == "not_object"


def test_the_start_of_an_episode_is_named_by_item_and_row() -> None:
    detector = replace(a_detector(), schema=a_schema_with(**ARRAYS))
    normal, anomaly = {"x1": 0.0, "x2": 0.0, "x3": 0.0}, {"x1": 9.0, "x2": 9.0, "x3": 9.0}
    items = [
        {"pump": "s0", "values": [{**row(0), **normal}, {**row(60), **anomaly}]},
        {"pump": "s0", "values": [{**row(120), **anomaly}, {**row(180), **normal}]},
    ]

    first, *others, last = answer_of(detector, items)["rows"]
    after_history, _ = answer_of(detector, items[1:], history=items[:1])["rows"]

    for normal_row in (first, last):
        assert normal_row["episode_start"] is None
        assert "episode_start_row" not in normal_row
    assert [(entry["episode_start"], entry["episode_start_row"]) for entry in others] == [
        (0, 1)
    ] * 2
    assert (after_history["episode_start"], after_history["episode_start_row"]) == (-1, 1)


def test_all_rows_count_for_the_limit_of_a_request() -> None:
    detector = a_detector_with(**ARRAYS)
    items = [{"pump": "s0", "values": [row(n) for n in range(2)]}] * 2

    answer = answer_of(detector, items, max_rows=4)
    problem = problem_of(detector, [*items, row(9, pump="s0")], max_rows=4)
    problem_with_history = problem_of(detector, items, history=items[:1], max_rows=5)

    assert answer["scored"] == 4
    assert problem["status"] == problem_with_history["status"] == 413
    assert "more than 4 rows" in problem["detail"]


def test_an_array_with_too_many_rows_is_one_bad_item() -> None:
    detector = a_detector_with(**ARRAYS, max_rows_per_record=3)
    items = [{"pump": "s0", "values": [row(n) for n in range(4)]}, row(9, pump="s0")]

    answer = answer_of(detector, items)

    assert (answer["scored"], answer["rejected"]) == (1, 1)
    assert answer["rows"][0]["errors"][0]["reason"] == "too_large"
    assert "row" not in answer["rows"][0]
