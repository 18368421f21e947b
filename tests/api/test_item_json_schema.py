"""The JSON Schema of items in the OpenAPI document agrees with the parser."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from sensorwatch.api.item_json_schema import example_items, item_schema
from sensorwatch.common.rows.item_rows import parse_items
from sensorwatch.common.rows.request_items import request_items
from sensorwatch.common.rows.schema import Schema, load_schema
from tests.api.item_requests import ARRAYS, LONG_FORM, RECEIVED, a_schema_with, row, value

PAYLOAD_SCHEMAS = sorted(Path("schemas/payloads").glob("*.toml"))
SCHEMAS: dict[str, Schema] = {path.stem: load_schema(path) for path in PAYLOAD_SCHEMAS} | {
    "arrays": a_schema_with(**ARRAYS),
    "arrays of arrays": a_schema_with(rows="[*][*]", key={"field": "@key"}),
    "arrays in arrays": a_schema_with(rows="d.groups[*].values[*]", unknown_fields="reject"),
    "long form": a_schema_with(**LONG_FORM),
    "long form in arrays": a_schema_with(**LONG_FORM, rows="values[*]", unknown_fields="reject"),
    "outside": a_schema_with(rows="v[*]", key={"field": ["@key", "@header.line"]}),
    "ignoring": a_schema_with(ignore={"d.kind": ["beat", 1, True]}, tombstones="ignore"),
}


def validator_of(schema: Schema) -> jsonschema.Draft202012Validator:
    json_schema = item_schema(schema)
    jsonschema.Draft202012Validator.check_schema(json_schema)
    return jsonschema.Draft202012Validator(json_schema)


def rows_and_rejections(schema: Schema, items: list[object]) -> tuple[int, int]:
    payloads = [json.dumps(item).encode() for item in items]
    chunks = [
        *parse_items(request_items(payloads, schema), schema, received=RECEIVED, max_rows=10_000)
    ]
    rows = sum(len(chunk.readings) for chunk in chunks)
    return rows, sum(len(chunk.rejections) for chunk in chunks)


@pytest.mark.parametrize("name", SCHEMAS)
def test_the_example_items_are_valid_and_are_read_as_one_row(name: str) -> None:
    schema = SCHEMAS[name]
    items = example_items(schema, [1.0] * len(schema.columns))

    for item in items:
        validator_of(schema).validate(item)
    assert rows_and_rejections(schema, items) == (1, 0)


OUTSIDE = {"@key": "p1", "@header.line": "l1"}


@pytest.mark.parametrize(
    ("name", "item", "is_valid"),
    [
        ("arrays", {"pump": "p1", "values": [row(0), row(1)]}, True),
        ("arrays", {"pump": "p1", "values": [row(0, "high")]}, False),
        ("arrays", {"pump": "p1", "values": 7}, False),
        ("arrays", row(0, pump="p1"), True),
        ("arrays", row(0), False),
        ("arrays in arrays", {"d": {"groups": [{"values": [row(0)]}]}}, True),
        ("arrays in arrays", {"d": {"groups": [{"values": [row(0, more=1)]}]}}, False),
        ("arrays in arrays", {"d": {"groups": [{}]}}, False),
        ("long form", value(0, "x1", 1), True),
        ("long form", {"pump": "p1", "metric": "x1", "v": 1}, False),
        ("long form in arrays", {"values": [value(0, "x1", 1)]}, True),
        ("outside", {**OUTSIDE, "v": [row(0)]}, True),
        ("outside", {**OUTSIDE, "@value": {"v": [row(0)]}}, True),
        ("outside", {"@key": "p1", "@value": {"v": [row(0)]}}, False),
        ("ignoring", {"d": {"kind": "beat"}}, True),
        ("ignoring", {"d": {"kind": "true"}}, True),
        ("ignoring", {"d": {"kind": "row"}}, False),
        ("ignoring", None, True),
        ("ignoring", 7, False),
    ],
)
def test_the_json_schema_accepts_items_as_the_parser_does(
    name: str, item: Any, *, is_valid: bool
) -> None:
    schema = SCHEMAS[name]

    assert validator_of(schema).is_valid(item) is is_valid
    assert (rows_and_rejections(schema, [item])[1] == 0) is is_valid
