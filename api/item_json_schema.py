"""Derives the JSON Schema of a request's item, and example items, from a model's schema."""

from collections.abc import Sequence
from typing import Any

from sensorwatch.api.row_json_schema import (
    example_fields,
    example_row,
    object_schema,
    row_schema,
    time_and_key_fields,
)
from sensorwatch.common.rows.paths import column_name, escape_key, set_value
from sensorwatch.common.rows.record_declarations import LongForm, UnknownFields
from sensorwatch.common.rows.request_items import PAYLOAD_FIELD
from sensorwatch.common.rows.row_arrays import keys_of_arrays
from sensorwatch.common.rows.schema import Schema


def item_schema(schema: Schema) -> dict[str, Any]:
    """Return the JSON Schema of an item: a row, or a record in another form of the schema."""
    forms = [row_schema(schema)]
    if schema.long_form:
        forms.append(_value_schema(schema, schema.long_form))
    if schema.rows:
        forms.append(_array_form(schema, forms))
    if schema.source_names:
        forms.append(_form_with_payload_field(schema, forms))
    if schema.ignore:
        forms += [_ignored_form(path, values) for path, values in schema.ignore]
    if schema.ignores_tombstones:
        forms.append({"type": "null", "description": "a tombstone, which is ignored"})
    return forms[0] if len(forms) == 1 else {"anyOf": forms}


def example_items(schema: Schema, values: Sequence[float]) -> list[object]:
    """Return example items, as a client would send them, with one row.

    `values`: a value for each column, signals first, then context.
    """
    rows = [example_row(schema, values)]
    if schema.long_form:
        rows = [
            example_fields(
                schema,
                {
                    schema.long_form.name: column_name(column.path),
                    schema.long_form.values[0]: value,
                },
            )
            for column, value in zip(schema.columns, values, strict=True)
        ]
    return [_example_record(schema, rows)] if schema.rows else [*rows]


def _example_record(schema: Schema, rows: Sequence[dict[str, Any]]) -> object:
    """Return a record with an array of rows; fields from outside the payload are moved out."""
    outside = {name: value for name, value in rows[0].items() if name.startswith("@")}
    elements: list[object] = [
        {name: value for name, value in row.items() if name not in outside} for row in rows
    ]
    for keys in reversed(keys_of_arrays(schema.rows)):
        content: object = elements
        if keys:
            record: dict[str, object] = {}
            set_value(record, keys, elements)
            content = record
        elements = [content]
    if isinstance(content, dict):
        return content | outside
    return {**outside, PAYLOAD_FIELD: content} if outside else content


def _value_schema(schema: Schema, long_form: LongForm) -> dict[str, Any]:
    """Return the JSON Schema of a record or element that has the value of one quantity."""
    fields, required = time_and_key_fields(schema)
    quantities = [column_name(column.path) for column in schema.columns]
    fields[long_form.name] = {"type": "string", "description": "the name of the quantity"}
    if schema.unknown_fields is UnknownFields.REJECT:
        fields[long_form.name]["enum"] = quantities
    value_types = ["number", "string", "boolean", "null"]
    for path in long_form.values:
        fields[path] = {
            "type": value_types,
            "description": f"the value of the quantity, one of {', '.join(quantities)}",
        }
    return object_schema(fields, [*required, long_form.name])


def _array_form(schema: Schema, forms: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the JSON Schema of a record with an array; `forms`: the forms of its elements.

    A field that an element lacks is looked up around the array, so no field is required.
    """
    content: dict[str, Any] = {"anyOf": [_with_optional_fields(form) for form in forms]}
    if any(column.path.isdigit() for column in schema.columns):
        content["anyOf"].append({"type": "array", "description": "a row as an array of values"})
    for keys in reversed(keys_of_arrays(schema.rows)):
        content = {"type": "array", "items": content, "maxItems": schema.max_rows_per_record}
        if keys:
            path = ".".join(map(escape_key, keys))
            around, _ = time_and_key_fields(schema)
            content = object_schema({**around, path: content}, [path])
    return content


def _with_optional_fields(form: dict[str, Any]) -> dict[str, Any]:
    optional_form = {name: value for name, value in form.items() if name != "required"}
    if "properties" in form:
        optional_form["properties"] = {
            name: _with_optional_fields(field) for name, field in form["properties"].items()
        }
    return optional_form


def _form_with_payload_field(schema: Schema, forms: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the JSON Schema of an item with its payload beside the fields from outside it."""
    fields, required = time_and_key_fields(schema)
    sources = {
        path: fields.get(path, {"description": "a field from outside the payload"})
        for path in schema.source_names
    }
    payload = {
        "anyOf": [_with_optional_fields(form) for form in forms],
        "description": "the payload, as a record of a topic has it",
    }
    required_sources = [path for path in required if path in sources]
    return object_schema({**sources, PAYLOAD_FIELD: payload}, [*required_sources, PAYLOAD_FIELD])


def _ignored_form(path: str, values: Sequence[str | int | bool]) -> dict[str, Any]:
    texts = [str(value).lower() if isinstance(value, bool) else str(value) for value in values]
    field = {"enum": list(dict.fromkeys([*values, *texts])), "description": "the item is ignored"}
    return object_schema({path: field}, [path])
