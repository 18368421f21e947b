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
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=20,
)
FIELDS = st.sampled_from([*ROW, "sensor_id", "more"])


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing/here", HTTPStatus.NOT_FOUND),
        ("GET", "/predict", HTTPStatus.METHOD_NOT_ALLOWED),
        ("DELETE", "/health", HTTPStatus.METHOD_NOT_ALLOWED),
        ("BREW", "/health", HTTPStatus.METHOD_NOT_ALLOWED),
    ],
)
def test_paths_and_methods_that_are_not_there_are_problems(
    client: Client, method: str, path: str, status: HTTPStatus
) -> None:
    response = client.request(method, path)

    assert response.status_code == status
    assert path in apps.problem(response)["detail"]
    assert ("allow" in response.headers) == (status is HTTPStatus.METHOD_NOT_ALLOWED)


@pytest.mark.parametrize(
    ("query", "where"),
    [
        ("?on_error=ignore", "#/query/on_error"),
        ("?signals=none", "#/query/signals"),
        ("?onerror=skip", "#/query/onerror"),
    ],
)
def test_query_parameters_that_are_not_there_are_named(
    client: Client, query: str, where: str
) -> None:
    response = apps.predict(client, ROW, query=query)

    assert response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert apps.pointers(response) == [(where, None)]


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "#"),
        (b"{", "#"),
        (b"[]", "#"),
        (b"{}", "#"),
        (b'{"row": []}', "#"),
        (b'{"rows": {}}', "#"),
        (b'{"rows": null}', "#"),
        (b'{"rows": []}', "#/rows"),
        (b'{"rows": [NaN]}', "#"),
        (b"\xff\xfe", "#"),
        (b"[" * 100_000, "#"),
        (b'{"rows":' + b"[" * 100_000 + b"]" * 100_000 + b"}", "#"),
    ],
)
def test_a_body_without_rows_is_a_problem(client: Client, body: bytes, where: str) -> None:
    response = client.post("/predict", content=body, headers=apps.JSON)

    assert response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert apps.pointers(response) == [(where, None)]
    assert "wanted" in response.json()["detail"]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda b: b'{"rows":[' + b + b"]}"))
def test_any_bytes_get_scores_or_a_problem(client: Client, body: bytes) -> None:
    answered_or_refused(client.post("/predict", content=body, headers=apps.JSON))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.dictionaries(FIELDS, JSON_VALUES).map(lambda row: ROW | row) | JSON_VALUES))
def test_any_json_rows_get_scores_or_a_problem(client: Client, rows: list[Any]) -> None:
    answered_or_refused(
        client.post("/predict", content=apps.text({"rows": rows}), headers=apps.JSON)
    )
    skipped = client.post(
        "/predict?on_error=skip", content=apps.text({"rows": rows}), headers=apps.JSON
    )
    answered_or_refused(skipped)
    if skipped.status_code == 200:
        assert [row["index"] for row in skipped.json()["rows"]] == list(range(len(rows)))


def answered_or_refused(response: Any) -> None:
    if response.status_code != 200:
        assert 400 <= response.status_code < 500
        apps.problem(response)


def test_a_failure_of_ours_is_a_problem_without_its_cause(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the secret cause")

    monkeypatch.setattr("sensorwatch.api.request_formats.predict", fail)

    response = apps.predict(client, ROW)

    assert response.status_code == HTTPStatus.INTERNAL_SERVER_ERROR
    assert "secret" not in str(apps.problem(response))


def test_pointers_follow_the_standard_s_own_examples() -> None:
    assert pointer() == "#"
    assert pointer("foo", 0) == "#/foo/0"
    assert pointer("") == "#/"
    assert pointer("a/b") == "#/a~1b"
    assert pointer("c%d") == "#/c%25d"
    assert pointer("e^f") == "#/e%5Ef"
    assert pointer("m~n") == "#/m~0n"
    assert pointer("\ud800") == "#/?"
