from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api import app_builders as apps
from tests.api.app_builders import ANOMALY, ROW, Client

INFER = "/v2/models/default/infer"
VALUES = st.lists(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just({"a": [1]}),
    min_size=2,
    max_size=2,
)


def tensor(name: str, *values: object, shape: list[int] | None = None) -> dict[str, object]:
    datatype = "FP64" if isinstance(values[0], float) else "BYTES"
    return {"name": name, "shape": shape or [len(values)], "datatype": datatype, "data": values}


def columns(*rows: dict[str, Any]) -> list[dict[str, object]]:
    return [tensor(name, *(row[name] for row in rows)) for name in rows[0]]


def infer(client: Client, *inputs: dict[str, object], **more: object) -> httpx.Response:
    return client.post(INFER, json={"inputs": inputs, **more})


def test_columns_get_the_same_scores_as_rows(client: Client) -> None:
    rows = apps.predict(client, ROW, ANOMALY).json()

    response = infer(client, *columns(ROW, ANOMALY), id="7")

    assert response.status_code == 200
    answered = response.json()
    assert (answered["model_name"], answered["id"]) == ("default", "7")
    assert answered["model_version"] == rows["model_version"]
    outputs = {output["name"]: output for output in answered["outputs"]}
    for name in ("anomaly_score", "raw_score", "is_anomaly", "p_value", "severity"):
        assert outputs[name]["data"] == [row[name] for row in rows["rows"]]
        assert outputs[name]["shape"] == [2]


def test_the_metadata_names_the_inputs_that_are_taken(client: Client) -> None:
    actual = client.get("/v2/models/default").json()

    assert actual["versions"] == [client.get("/health").json()["model_version"]]
    datatypes = {column["name"]: column["datatype"] for column in actual["inputs"]}
    assert datatypes == {
        "timestamp": "BYTES",
        "sensor_id": "BYTES",
        "x1": "FP64",
        "x2": "FP64",
        "x3": "FP64",
    }


def test_a_bad_value_is_pointed_to_in_its_column(client: Client) -> None:
    response = infer(client, *columns(ROW, {**ROW, "x2": 5000.0}))

    assert response.status_code == 422
    assert apps.pointers(response) == [("#/inputs/2/data/1", "out_of_range")]
    missing = infer(client, *columns(ROW)[:-1])
    assert apps.pointers(missing) == [("#/inputs", "missing_field")]


@pytest.mark.parametrize(
    ("inputs", "where"),
    [
        ([], "#/inputs"),
        ([tensor("x1", 1.0), tensor("x1.a", 1.0)], "#/inputs/1/name"),
        ([tensor("x1", 1.0), tensor("x1", 1.0)], "#/inputs/1/name"),
        ([tensor("x1", 1.0, shape=[2])], "#/inputs/0"),
        ([tensor("x1", 1.0, 2.0), tensor("x2", 1.0)], "#/inputs/1"),
        ([{**tensor("x1", 1.0, shape=[0]), "data": []}], "#/inputs/0"),
        ([{"name": "x1"}], "#"),
    ],
)
def test_inputs_that_fit_no_schema_or_each_other_are_refused(
    client: Client, inputs: list[dict[str, object]], where: str
) -> None:
    response = infer(client, *inputs)

    assert response.status_code == 422
    assert apps.pointers(response) == [(where, None)]


def test_more_rows_than_allowed_are_refused(registry_path: Path) -> None:
    with apps.a_client(registry_path, max_rows=1) as client:
        refused = infer(client, *columns(ROW, ROW))

    assert refused.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_another_model_s_name_is_not_found(client: Client) -> None:
    for path in ("/v2/models/other", "/v2/models/other/ready"):
        response = client.get(path)
        assert response.status_code == HTTPStatus.NOT_FOUND
        assert '"other"' in apps.problem(response)["detail"]


def test_the_model_is_ready_when_the_service_is(client: Client, tmp_path: Path) -> None:
    assert client.get("/v2/models/default/ready").status_code == 200
    with apps.a_client(tmp_path) as without:
        refused = without.get("/v2/models/default/ready")
    assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE


@settings(max_examples=50, deadline=None)
@given(
    st.binary(max_size=100)
    | st.dictionaries(st.sampled_from([*ROW]), VALUES).map(
        lambda fields: apps.text({"inputs": columns_of(ROW | fields)})
    )
)
def test_any_body_gets_scores_or_a_problem(client: Client, body: bytes) -> None:
    response = client.post(INFER, content=body, headers=apps.JSON)

    if response.status_code != 200:
        assert 400 <= response.status_code < 500
        apps.problem(response)


def columns_of(fields: dict[str, Any]) -> list[dict[str, object]]:
    return [
        tensor(name, *(value if isinstance(value, list) else [value] * 2))
        for name, value in fields.items()
    ]
