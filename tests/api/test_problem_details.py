from http import HTTPStatus
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sensorwatch.api.json_pointers import pointer
from tests.api import app_builders as apps
from tests.api.app_builders import ROW, Client

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda nested_values: (
        st.lists(nested_values, max_size=4) | st.dictionaries(st.text(), nested_values, max_size=4)
    ),
    max_leaves=20,
)
FIELD_NAMES = st.sampled_from([*ROW, "sensor_id", "more"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing/here", HTTPStatus.NOT_FOUND),
        ("GET", "/predict", HTTPStatus.METHOD_NOT_ALLOWED),
        ("DELETE", "/health", HTTPStatus.METHOD_NOT_ALLOWED),
        ("BREW", "/health", HTTPStatus.METHOD_NOT_ALLOWED),
    ],
)
def test_unknown_paths_and_methods_are_problems(
    client: Client, method: str, path: str, status: HTTPStatus
) -> None:
    response = client.request(method, path)

    assert response.status_code == status
    assert path in apps.problem_details(response)["detail"]
    assert ("allow" in response.headers) == (status is HTTPStatus.METHOD_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("query", "expected_pointer"),
    [
        ("?on_error=ignore", "#/query/on_error"),
        ("?signals=none", "#/query/signals"),
        ("?onerror=skip", "#/query/onerror"),
    ],
)
def test_the_error_names_an_unknown_query_parameter_or_value(
    client: Client, query: str, expected_pointer: str
) -> None:
    response = apps.post_rows(client, ROW, query=query)

    assert response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert apps.error_pointers(response) == [(expected_pointer, None)]


@pytest.mark.parametrize(
    ("body", "expected_pointer"),
    [
        (b"", "#"),
        (b"{", "#"),
        (b"[]", "#"),
        (b"{}", "#"),
        (b'{"row": []}', "#"),
        (b'{"rows": {}}', "#"),
        (b'{"rows": null}', "#"),
        (b'{"rows": []}', "#/rows"),
        (b'{"rows": [nan]}', "#"),
        (b"\xff\xfe", "#"),
        (b"[" * 100_000, "#"),
        (b'{"rows":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "#"),
    ],
)
def test_a_body_without_rows_is_a_problem(
    client: Client, body: bytes, expected_pointer: str
) -> None:
    response = client.post("/predict", content=body, headers=apps.JSON_HEADERS)

    assert response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert apps.error_pointers(response) == [(expected_pointer, None)]
    assert "wanted" in response.json()["detail"]


@settings(max_examples=100, deadline=None)
@given(
    st.binary(max_size=200) | st.binary(max_size=60).map(lambda rows: b'{"rows":[' + rows + b"]}")
)
def test_any_bytes_get_scores_or_a_problem(client: Client, body: bytes) -> None:
    assert_scores_or_problem(client.post("/predict", content=body, headers=apps.JSON_HEADERS))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(FIELD_NAMES, JSON_VALUES).map(lambda row: ROW | row) | JSON_VALUES))
def test_any_json_rows_get_scores_or_a_problem(client: Client, rows: list[Any]) -> None:
    assert_scores_or_problem(
        client.post("/predict", content=apps.json_bytes({"rows": rows}), headers=apps.JSON_HEADERS)
    )
    response_with_skip = client.post(
        "/predict?on_error=skip", content=apps.json_bytes({"rows": rows}), headers=apps.JSON_HEADERS
    )
    assert_scores_or_problem(response_with_skip)
    if response_with_skip.status_code == 200:
        assert [row["index"] for row in response_with_skip.json()["rows"]] == list(range(len(rows)))


def assert_scores_or_problem(response: Any) -> None:
    if response.status_code != 200:
        assert 400 <= response.status_code < 500
        apps.problem_details(response)


def test_the_problem_of_an_internal_error_does_not_show_the_cause(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr("sensorwatch.api.request_formats.predict", fail)

    response = apps.post_rows(client, ROW)

    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "secret" not in str(apps.problem_details(response))


def test_pointers_follow_the_examples_of_the_json_pointer_standard() -> None:
    assert pointer() == "#"
    assert pointer("foo", 0) == "#/foo/0"
    assert pointer("") == "#/"
    assert pointer("a/b") == "#/a~1b"
    assert pointer("c%d") == "#/c%25d"
    assert pointer("e^f") == "#/e%5Ef"
    assert pointer("m~n") == "#/m~0n"
    assert pointer("\ud800") == "#/?"
