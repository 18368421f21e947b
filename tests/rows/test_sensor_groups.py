"""The group of a sensor: a function of its id that the schema declares."""

from typing import Any

import pytest

from sensorwatch.common.errors import SchemaError
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.sensor_groups import group_reader


def a_schema_with(key: dict[str, Any]) -> Schema:
    return schema_from_plain({"key": key, "signals": [{"name": "x1"}]})


def groups_of(key: dict[str, Any], *sensor_ids: str) -> list[str]:
    group_of = group_reader(a_schema_with(key))
    assert group_of is not None
    return [group_of(sensor_id) for sensor_id in sensor_ids]


def test_the_text_before_the_first_separator_is_the_group() -> None:
    key = {"group": {"before": "-"}}

    assert groups_of(key, "pump-7", "pump-7-left", "pump", "-7") == ["pump", "pump", "", ""]


def test_several_parts_of_an_id_may_be_the_group() -> None:
    key = {"group": {"before": "::", "parts": 2}}

    assert groups_of(key, "p::l::7", "p::l::7::x", "p::l", "p") == ["p::l", "p::l", "", ""]


def test_the_first_fields_of_a_key_may_be_the_group() -> None:
    fields = ["plant", "line", "pump"]

    assert groups_of({"field": fields, "group": {"field": "plant"}}, "p/l/7") == ["p"]
    assert groups_of({"field": fields, "group": {"field": ["plant", "line"]}}, "p/l/7") == ["p/l"]
    # The sensor "default" has the id of a row without the optional field.
    key = {"field": fields, "optional": True, "group": {"field": "plant"}}
    assert groups_of(key, "default") == [""]


def test_the_first_pattern_that_matches_precedes_the_rule() -> None:
    key = {
        "groups": {"boiler-[12]": "steam", "boiler-*": "heating"},
        "group": {"before": "-"},
    }

    assert groups_of(key, "boiler-1", "boiler-3", "Boiler-1", "pump-1") == [
        "steam",
        "heating",
        "Boiler",
        "pump",
    ]
    assert groups_of({"groups": {"boiler-*": "heating"}}, "pump-1") == [""]


@pytest.mark.parametrize("plain", [{}, {"key": {"field": "pump"}}])
def test_a_schema_may_declare_no_group(plain: dict[str, Any]) -> None:
    assert group_reader(schema_from_plain({"signals": [{"name": "x1"}]} | plain)) is None


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ({"group": {}}, "either `before` or `field`"),
        ({"group": {"before": "-", "field": "line"}}, "either `before` or `field`"),
        ({"group": {"before": ""}}, "key.group.before"),
        ({"group": {"before": "-", "parts": 0}}, "key.group.parts"),
        ({"field": ["pump", "line"], "group": {"field": "line"}}, 'of the key ("pump", "line")'),
        ({"field": "line", "group": {"field": "line"}}, "must be the first of several fields"),
        ({"groups": {"*": "a\nb"}}, "printable"),
        ({"groups": {"*": ""}}, "key.groups"),
    ],
)
def test_a_group_that_cannot_be_used_is_refused(key: dict[str, Any], problem: str) -> None:
    with pytest.raises(SchemaError) as error:
        a_schema_with(key)

    assert problem in str(error.value)


def test_groups_are_stored_with_the_schema_and_do_not_change_the_meaning_of_a_row() -> None:
    key = {"field": ["line", "pump"], "group": {"field": "line"}, "groups": {"a*": "b", "c": "d"}}
    schema = a_schema_with(key)

    restored_schema = schema_from_plain(schema.to_plain())

    assert restored_schema.key == schema.key
    assert schema.fingerprint == a_schema_with({"field": ["line", "pump"]}).fingerprint
