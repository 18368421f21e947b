from dataclasses import replace
from typing import Any

import jsonschema
import pytest

from sensorwatch.api.app import create_app
from sensorwatch.api.inference_protocol import metadata
from sensorwatch.api.row_json_schema import example_row, row_schema
from sensorwatch.common.rows.field_declarations import (
    KeyField,
    MissingPolicy,
    NumericColumn,
    TimeField,
)
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.record_declarations import UnknownFields
from sensorwatch.common.rows.schema import Schema
from tests.api import app_builders as apps
from tests.api.app_builders import ANOMALY, ROW, Client
from tests.reading_builders import a_detector


@pytest.fixture(scope="module")
def document(client: Client) -> dict[str, Any]:
    """Return the OpenAPI document that the application serves."""
    openapi_document: dict[str, Any] = client.get("/openapi.json").json()
    return openapi_document


def validator_of(document: dict[str, Any], name: str) -> jsonschema.Draft202012Validator:
    schema = {"$ref": f"#/components/schemas/{name}", "components": document["components"]}
    return jsonschema.Draft202012Validator(schema)


def predict_body_of(document: dict[str, Any]) -> dict[str, Any]:
    operation = document["paths"]["/predict"]["post"]
    body: dict[str, Any] = operation["requestBody"]["content"]["application/json"]
    return body


def schema_references(json_value: object) -> list[str]:
    if isinstance(json_value, dict):
        references = [json_value["$ref"]] if isinstance(json_value.get("$ref"), str) else []
        return references + [
            reference for value in json_value.values() for reference in schema_references(value)
        ]
    return (
        [reference for value in json_value for reference in schema_references(value)]
        if isinstance(json_value, list)
        else []
    )


def test_the_document_is_complete_and_its_references_exist(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    expected_paths = {"/predict", "/model", "/health", "/livez", "/readyz", "/metrics"}
    assert expected_paths <= set(document["paths"])
    assert schema_references(document)
    for reference in schema_references(document):
        json_value: Any = document
        for key in reference.removeprefix("#/").split("/"):
            json_value = json_value[key]
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_the_example_request_of_the_document_is_scored(
    client: Client, document: dict[str, Any]
) -> None:
    response = client.post("/predict", json=predict_body_of(document)["example"])

    assert response.status_code == 200
    assert response.json()["scored"] == 1


def test_the_document_contains_the_row_schema_of_the_served_model(document: dict[str, Any]) -> None:
    schema = jsonschema.Draft202012Validator(predict_body_of(document)["schema"])

    assert schema.is_valid({"rows": [ROW]})
    assert not schema.is_valid({"rows": []})
    assert not schema.is_valid({"rows": [{**ROW, "x1": 1001}]})
    assert not schema.is_valid({"rows": [{**ROW, "x1": "1"}]})
    assert not schema.is_valid({"rows": [{key: ROW[key] for key in ("timestamp", "x1", "x2")}]})


@pytest.mark.parametrize("query", ["", "?signals=all", "?on_error=skip"])
def test_answers_match_the_document(client: Client, document: dict[str, Any], query: str) -> None:
    rows = [ROW, ANOMALY, {}] if "skip" in query else [ROW, ANOMALY]

    response = apps.post_rows(client, *rows, query=query)

    assert response.status_code == 200
    validator_of(document, "PredictAnswer").validate(response.json())
    validator_of(document, "Health").validate(client.get("/health").json())


@pytest.mark.parametrize("query", ["", "?on_error=x"])
def test_problems_match_the_document(client: Client, document: dict[str, Any], query: str) -> None:
    response = apps.post_rows(client, {}, 5, query=query)

    assert response.status_code == 422
    validator_of(document, "ProblemModel").validate(response.json())
    validator_of(document, "ProblemModel").validate(client.get("/nothing").json())


def test_the_document_is_available_without_starting_the_application() -> None:
    document = create_app().openapi()

    assert predict_body_of(document)["example"] == {"rows": [ROW]}
    assert "ProblemModel" in document["components"]["schemas"]


def test_the_docs_page_links_to_the_document(client: Client) -> None:
    page = client.get("/docs")

    assert page.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in page.text


SIGNALS = (
    NumericColumn(name="a", field="in.a", min=-1.0, max=1.0),
    NumericColumn(name="b", missing=MissingPolicy.HOLD_LAST),
)
CONTEXT = (
    NumericColumn(name="c", field="in.c", unit="bar", missing=MissingPolicy.HOLD_LAST),
    NumericColumn(name="d"),
)


@pytest.mark.parametrize("unknown_fields", list(UnknownFields))
@pytest.mark.parametrize("key", [None, KeyField(), KeyField(field=("in.id",), optional=True)])
@pytest.mark.parametrize(
    "time",
    [
        TimeField(),
        TimeField(naive_zone="Europe/Oslo"),
        TimeField(field=("in.at",), format=("epoch_s",)),
        TimeField(format=("epoch_ms",)),
        TimeField(format=("%d.%m.%Y %H:%M",), naive_zone="UTC"),
        TimeField(format=("%Y-%m-%dT%H:%M:%S%z",)),
    ],
)
def test_the_example_row_of_a_schema_is_valid_and_is_parsed(
    time: TimeField, key: KeyField | None, unknown_fields: UnknownFields
) -> None:
    schema = Schema(
        time=time, key=key, signals=SIGNALS, context=CONTEXT, unknown_fields=unknown_fields
    )
    row = example_row(schema, [0.5, 2.0, 3.0, 4.0])

    row_json_schema = row_schema(schema)
    readings, rejections = parse([apps.json_bytes(row)], schema)

    jsonschema.Draft202012Validator(row_json_schema).validate(row)
    assert rejections == []
    assert readings.values.tolist() == [[0.5, 2.0]]
    assert readings.context.tolist() == [[3.0, 4.0]]
    allows_unknown_field = jsonschema.Draft202012Validator(row_json_schema).is_valid(
        {**row, "more": 1}
    )
    assert allows_unknown_field == (unknown_fields is UnknownFields.IGNORE)


@pytest.mark.parametrize(
    ("changes", "is_valid"),
    [
        ({"b": None}, True),
        ({"b": ...}, True),
        ({"in": {"a": 0.5, "c": None}}, True),
        ({"in": {"a": 0.5}}, True),
        ({"in": {"a": None, "c": 3.0}}, False),
        ({"d": None}, False),
        ({"d": ...}, False),
        ({"b": "high"}, False),
    ],
)
def test_the_row_json_schema_allows_missing_values_as_the_parser_does(
    changes: dict[str, Any], *, is_valid: bool
) -> None:
    schema = Schema(signals=SIGNALS, context=CONTEXT)
    row = example_row(schema, [0.5, 2.0, 3.0, 4.0]) | changes
    row = {name: value for name, value in row.items() if value is not ...}

    assert jsonschema.Draft202012Validator(row_schema(schema)).is_valid(row) is is_valid
    assert len(parse([apps.json_bytes(row)], schema)[0]) == int(is_valid)


def test_the_model_metadata_lists_time_key_signals_and_context() -> None:
    schema = Schema(key=KeyField(), signals=SIGNALS, context=CONTEXT)

    inputs = metadata("pump", replace(a_detector(), schema=schema))["inputs"]

    assert {column["name"]: column["datatype"] for column in inputs} == {
        "timestamp": "BYTES",
        "sensor_id": "BYTES",
        "in.a": "FP64",
        "b": "FP64",
        "in.c": "FP64",
        "d": "FP64",
    }
