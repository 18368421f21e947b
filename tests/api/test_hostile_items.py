"""Items of a request that no client should send get a bounded answer."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.api.predict_response import OnError
from tests.api.item_requests import (
    ARRAYS,
    LONG_FORM,
    a_detector_with,
    answer_of,
    problem_of,
    scored_entries,
)


@pytest.mark.parametrize("rows", [10_001, 120_000])
def test_an_array_above_every_limit_is_one_bad_item(rows: int) -> None:
    answer = answer_of(a_detector_with(**ARRAYS), [{"pump": "s0", "values": [0] * rows}])

    assert (answer["scored"], answer["rejected"]) == (0, 1)
    assert answer["rows"][0]["errors"][0]["reason"] == "too_large"


@pytest.mark.parametrize("schema", [ARRAYS, {**LONG_FORM, "rows": "values[*]"}])
def test_reading_stops_at_the_limit_of_rows(schema: dict[str, Any]) -> None:
    items = [{"pump": "s0", "values": [0] * 10_000}] * 200

    problem = problem_of(a_detector_with(**schema), items)

    assert problem["status"] == 413


def test_each_of_many_bad_elements_is_listed() -> None:
    items = [{"pump": "s0", "values": ["bad"] * 5_000}]

    answer = answer_of(a_detector_with(**ARRAYS), items)

    assert answer["rejected"] == 5_000
    assert [entry["row"] for entry in answer["rows"]] == list(range(5_000))


def test_the_number_of_faults_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sensorwatch.api.prediction.MAX_FAULTS", 100)
    items = [{"pump": "s0", "values": ["bad"] * 80}] * 4

    problem = problem_of(a_detector_with(**ARRAYS), items, on_error=OnError.SKIP)

    assert "the last 2 items were not read" in problem["detail"]
    assert len(problem["errors"]) == 101


hostile = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["values", "at", "x1", "pump", "d", "@key", "@value", "metric", "v", "n"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
SCHEMAS: list[dict[str, Any]] = [
    ARRAYS,
    {**ARRAYS, "unknown_fields": "reject", "ignore": {"d": ["x", 1]}, "tombstones": "ignore"},
    {"rows": "[*]", "key": {"field": "@key"}},
    {"rows": "[*].values[*]", "key": {"field": ["@key", "pump"]}},
    {"key": {"field": ["@key", "@header.x"]}},
    LONG_FORM,
    {**LONG_FORM, "rows": "values[*]", "key": {"field": "@key"}},
    {
        "rows": "[*]",
        "payload": "senml",
        "key": {"field": "bn"},
        "time": {"field": "t", "format": "epoch_s"},
        "long_form": {"name": "n", "value": "v"},
    },
]


@pytest.mark.parametrize("schema", SCHEMAS, ids=range(len(SCHEMAS)))
@settings(max_examples=60, deadline=None)
@given(items=st.lists(hostile, min_size=1, max_size=5))
def test_any_items_get_an_entry_or_are_joined(schema: dict[str, Any], items: list[object]) -> None:
    answer = answer_of(a_detector_with(**schema), items)

    named = {entry["index"] for entry in answer["rows"]}
    for entry in scored_entries(answer):
        named.update(entry.get("items", []))
    assert named == set(range(len(items)))
    for entry in answer["rows"]:
        for error in entry.get("errors", []):
            assert error["pointer"].startswith(f"#/rows/{entry['index']}")
    json.dumps(answer, allow_nan=False)
