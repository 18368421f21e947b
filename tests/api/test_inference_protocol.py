from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.api import app_builders as apps
from tests.api.app_builders import ANOMALY, ROW, Client

INFER_PATH = "/v2/models/default/infer"
COLUMN_VALUES = st.lists(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.just({"a": [1]}),
    min_size=2,
    max_size=2,
)


def tensor(name: str, *values: object, shape: list[int] | None = None) -> dict[str, object]:
    datatype = "FP64" if isinstance(values[0], float) else "BYTES"
    return {"name": name, "shape": shape or [len(values)], "datatype": datatype, "data": values}


def tensors_of_rows(*rows: dict[str, Any]) -> list[dict[str, object]]:
    return [tensor(name, *(row[name] for row in rows)) for name in rows[0]]


def infer(client: Client, *inputs: dict[str, object], **other_fields: object) -> httpx.Response:
    return client.post(INFER_PATH, json={"inputs": inputs, **other_fields})


def test_tensors_get_the_same_scores_as_rows(client: Client) -> None:
    row_scores = apps.post_rows(client, ROW, ANOMALY).json()

    response = infer(client, *tensors_of_rows(ROW, ANOMALY), id="7")

    assert response.status_code == 200
    response_body = response.json()
    assert (response_body["model_name"], response_body["id"]) == ("default", "7")
    assert response_body["model_version"] == row_scores["model_version"]
    outputs = {output["name"]: output for output in response_body["outputs"]}
    for name in ("anomaly_score", "raw_score", "is_anomaly", "p_value", "severity"):
        assert outputs[name]["data"] == [row[name] for row in row_scores["rows"]]
        assert outputs[name]["shape"] == [2]


def test_the_model_metadata_lists_the_inputs_of_the_schema(client: Client) -> None:
    metadata = client.get("/v2/models/default").json()

    assert metadata["versions"] == [client.get("/health").json()["model_version"]]
    datatypes = {column["name"]: column["datatype"] for column in metadata["inputs"]}
    assert datatypes == {
        "timestamp": "BYTES",
        "sensor_id": "BYTES",
        "x1": "FP64",
        "x2": "FP64",
        "x3": "FP64",
    }


def test_the_error_pointer_names_the_column_and_row_of_a_bad_value(client: Client) -> None:
    response = infer(client, *tensors_of_rows(ROW, {**ROW, "x2": 5000.0}))

    assert response.status_code == 422
    assert apps.error_pointers(response) == [("#/inputs/2/data/1", "out_of_range")]
    response_without_column = infer(client, *tensors_of_rows(ROW)[:-1])
    assert apps.error_pointers(response_without_column) == [("#/inputs", "missing_field")]


@pytest.mark.parametrize(
    ("inputs", "expected_pointer"),
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
def test_inputs_that_do_not_fit_the_schema_or_each_other_are_refused(
    client: Client, inputs: list[dict[str, object]], expected_pointer: str
) -> None:
    response = infer(client, *inputs)

    assert response.status_code == 422
    assert apps.error_pointers(response) == [(expected_pointer, None)]


def test_more_rows_than_allowed_are_refused(registry_path: Path) -> None:
    with apps.a_client(registry_path, max_rows=1) as client:
        refusal = infer(client, *tensors_of_rows(ROW, ROW))

    assert refusal.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def test_an_unknown_model_name_is_not_found(client: Client) -> None:
    for path in ("/v2/models/other", "/v2/models/other/ready"):
        response = client.get(path)
        assert response.status_code == HTTPStatus.NOT_FOUND
        assert '"other"' in apps.problem_details(response)["detail"]


def test_the_model_is_ready_if_the_service_is_ready(client: Client, tmp_path: Path) -> None:
    assert client.get("/v2/models/default/ready").status_code == 200
    with apps.a_client(tmp_path) as client_without_model:
        refusal = client_without_model.get("/v2/models/default/ready")
    assert refusal.status_code == HTTPStatus.SERVICE_UNAVAILABLE


@settings(max_examples=50, deadline=None)
@given(
    st.binary(max_size=100)
    | st.dictionaries(st.sampled_from([*ROW]), COLUMN_VALUES).map(
        lambda fields: apps.json_bytes({"inputs": tensors_of_fields(ROW | fields)})
    )
)
def test_any_body_gets_scores_or_a_problem(client: Client, body: bytes) -> None:
    response = client.post(INFER_PATH, content=body, headers=apps.JSON_HEADERS)

    if response.status_code != 200:
        assert 400 <= response.status_code < 500
        apps.problem_details(response)


def tensors_of_fields(fields: dict[str, Any]) -> list[dict[str, object]]:
    return [
        tensor(name, *(value if isinstance(value, list) else [value] * 2))
        for name, value in fields.items()
    ]
