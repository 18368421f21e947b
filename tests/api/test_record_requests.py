"""A running service with a schema of arrays: answers, document, metrics and tensors."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest

from sensorwatch.common.registry.store import Registry
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from tests.api import app_builders as apps
from tests.api.app_builders import ANOMALY, ROW, Client
from tests.reading_builders import a_candidate, a_schema

HEARTBEAT = {"kind": "heartbeat"}
BAD_ROW = {**ROW, "x2": "high"}
RECORD = {
    "sensor_id": "p1",
    "values": [ROW, BAD_ROW, {**ANOMALY, "timestamp": "2025-01-02T00:00:00"}],
}


def registry_with(path: Path, schema: Schema) -> Path:
    """Write a registry whose champion has a schema, and return its path."""
    registry = Registry(path)
    candidate = replace(a_candidate(), schema=schema)
    version = registry.register("default", candidate, who="test", why="test")
    registry.promote("default", version, who="test", why="test", force="test")
    return path


def schema_with(**parts: object) -> Schema:
    return schema_from_plain(a_schema().to_plain() | parts)


@pytest.fixture(scope="module")
def array_client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """Return a client of a service whose schema has arrays and ignores heartbeats."""
    schema = schema_with(rows="values[*]", ignore={"kind": ["heartbeat"]})
    path = registry_with(tmp_path_factory.mktemp("arrays") / "registry", schema)
    with apps.a_client(path) as client:
        yield client


def test_answers_and_problems_match_the_document(array_client: Client) -> None:
    document = array_client.get("/openapi.json").json()

    def validate(value: object, name: str) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
        jsonschema.Draft202012Validator(schema).validate(value)

    answer = apps.post_rows(array_client, RECORD, HEARTBEAT, query="?on_error=skip&signals=all")
    problem = apps.post_rows(array_client, RECORD)

    validate(answer.json(), "PredictAnswer")
    validate(problem.json(), "ProblemModel")
    assert apps.error_pointers(problem) == [("#/rows/0/values/1/x2", "wrong_type")]
    body = document["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]
    assert array_client.post("/predict", json=body["example"]).json()["scored"] == 1
    jsonschema.Draft202012Validator(body["schema"]).validate(body["example"])


def test_metrics_count_rows_and_ignored_items(array_client: Client) -> None:
    series = [
        "sensorwatch_rows_scored_total",
        'sensorwatch_rows_rejected_total{reason="wrong_type"}',
        'sensorwatch_items_ignored_total{reason="filtered"}',
        'sensorwatch_items_ignored_total{reason="no_rows"}',
    ]
    before = [apps.metric_value(array_client, name) for name in series]

    apps.post_rows(array_client, RECORD, HEARTBEAT, {"values": []}, query="?on_error=skip")

    after = [apps.metric_value(array_client, name) for name in series]
    assert [new - old for new, old in zip(after, before, strict=True)] == [2, 1, 1, 1]


def test_tensors_are_flat_rows_with_any_schema(array_client: Client) -> None:
    inputs = [
        {"name": name, "shape": [2], "datatype": "FP64", "data": [ROW[name], ANOMALY[name]]}
        for name in ROW
    ]

    response = array_client.post("/v2/models/default/infer", json={"inputs": inputs})

    expected = [
        row["raw_score"] for row in apps.post_rows(array_client, ROW, ANOMALY).json()["rows"]
    ]
    outputs = {output["name"]: output["data"] for output in response.json()["outputs"]}
    assert outputs["raw_score"] == expected


def test_a_tensor_row_that_the_schema_ignores_is_a_problem(tmp_path: Path) -> None:
    schema = schema_with(ignore={"sensor_id": ["test"]})
    inputs = [
        {"name": name, "shape": [2], "datatype": "FP64", "data": [value] * 2}
        for name, value in ROW.items()
    ]
    inputs.append({"name": "sensor_id", "shape": [2], "datatype": "BYTES", "data": ["p1", "test"]})
    with apps.a_client(registry_with(tmp_path / "registry", schema)) as client:
        response = client.post("/v2/models/default/infer", json={"inputs": inputs})

    assert response.status_code == 422
    problem = apps.problem_details(response)
    assert [error["index"] for error in problem["errors"]] == [1]
    assert "leave them out" in problem["detail"]


def test_a_long_form_schema_scores_tensors_and_values(tmp_path: Path) -> None:
    schema = schema_with(long_form={"name": "metric", "value": "v", "bucket_seconds": 60})
    values = [
        {"timestamp": ROW["timestamp"], "metric": name, "v": ROW[name]}
        for name in ("x1", "x2", "x3")
    ]
    inputs = [
        {"name": name, "shape": [1], "datatype": "FP64", "data": [value]}
        for name, value in ROW.items()
    ]
    with apps.a_client(registry_with(tmp_path / "registry", schema)) as client:
        [row] = apps.post_rows(client, *values).json()["rows"]
        outputs = client.post("/v2/models/default/infer", json={"inputs": inputs}).json()["outputs"]

    assert (row["index"], row["row"], row["items"]) == (2, 0, [0, 1, 2])
    assert [row["raw_score"]] == outputs[1]["data"]
