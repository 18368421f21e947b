"""Records with arrays and in long form take time that is linear in their size."""

from typing import Any

import pytest

from sensorwatch.common.rows.open_rows import OpenRows
from sensorwatch.common.rows.records import parse_records
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from tests.rows.linear_time import PayloadFamily, number_members, repeat, require_linear_time

# A tracer would double the measured times.
pytestmark = [pytest.mark.no_cover, pytest.mark.usefixtures("no_garbage_collection")]

COST_FACTOR = 100.0
"""A row of three bytes costs as much as a whole row, also while coverage is measured."""
SIZES = (4_096, 16_384, 65_536)
"""Sizes of the tested records in bytes. The number of rows in a larger one is limited."""


def a_schema(**parts: Any) -> Schema:
    return schema_from_plain(
        {
            "time": {"field": "t", "format": ["rfc3339", "epoch_s"], "naive_zone": "UTC"},
            "key": {"field": ["k", "@key"]},
            "signals": [{"name": "x1", "numbers": "text"}, {"name": "x2"}],
        }
        | parts
    )


SCHEMAS = (
    a_schema(rows="a[*]", unknown_fields="reject"),
    a_schema(rows="g[*].a[*]"),
    a_schema(rows="a[*]", long_form={"name": "n", "value": ["v", "w"]}),
    a_schema(rows="a[*]", long_form={"name": "n", "value": "v", "bucket_seconds": 1}),
    a_schema(rows="[*]", payload="senml", long_form={"name": "n", "value": "v"}),
)


def in_array(elements: bytes, around: bytes = b"") -> bytes:
    return b'{"a":[' + elements + b'{}],"g":[{"a":[{}]}]' + around + b"}"


def in_groups(groups: bytes) -> bytes:
    return b'{"g":[' + groups + b"{}]}"


VALUE = b'{"t":%d,"n":"x1","v":"1"},'
FAMILIES: dict[str, PayloadFamily] = {
    "empty elements": lambda n: in_array(repeat(b"{},", n)),
    "numbers": lambda n: in_array(repeat(b"1,", n)),
    "empty arrays": lambda n: in_array(repeat(b"[],", n)),
    "long arrays as elements": lambda n: in_array(repeat(b"[" + b"1," * 500 + b"1],", n)),
    "unknown fields": lambda n: in_array(b"{" + number_members(b'"u%d":1', n) + b"},"),
    "a long id around many elements": lambda n: in_array(
        repeat(b"{},", n // 2), b',"k":"' + repeat(b"s", n // 2) + b'"'
    ),
    "a long number around many elements": lambda n: in_array(
        repeat(b"{},", n // 2), b',"x1":"' + repeat(b"9", n // 2) + b'"'
    ),
    "a long time around many elements": lambda n: in_array(
        repeat(b"{},", n // 2), b',"t":"' + repeat(b"0", n // 2) + b'"'
    ),
    "a long array around many elements": lambda n: in_array(
        repeat(b"{},", n // 2), b',"x1":[' + repeat(b"1,", n // 2) + b'1],"k":{}'
    ),
    "many fields around many elements": lambda n: in_array(
        repeat(b"{},", n // 2), b"," + number_members(b'"u%d":1', n // 2)
    ),
    "empty groups": lambda n: in_groups(repeat(b'{"a":[]},', n)),
    "groups without an array": lambda n: in_groups(repeat(b"{},", n)),
    "groups with a long id": lambda n: in_groups(
        b'{"k":"' + repeat(b"s", n // 2) + b'","a":[' + repeat(b"{},", n // 2) + b"{}]},"
    ),
    "values of one row": lambda n: in_array(repeat(b'{"t":1,"n":"x1","v":"1"},', n)),
    "values of many rows": lambda n: in_array(
        b"".join(VALUE % number for number in range(n // len(VALUE)))
    ),
    "values of many rows, newest first": lambda n: in_array(
        b"".join(VALUE % number for number in range(n // len(VALUE), 0, -1))
    ),
    "unknown quantities": lambda n: in_array(repeat(b'{"n":"u"},', n)),
    "a pack with a long base name": lambda n: (
        b'[{"bn":"' + repeat(b"s", n // 2) + b'"},' + repeat(b'{"n":"x1"},', n // 2) + b"{}]"
    ),
    "a pack with a long base time": lambda n: (
        b'[{"bt":[' + repeat(b"1,", n // 2) + b"1]}," + repeat(b'{"n":"x1"},', n // 2) + b"{}]"
    ),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_the_time_to_read_a_record_is_linear(family: str) -> None:
    def read_with_each_schema(payload: bytes) -> None:
        for schema in SCHEMAS:
            parse_records([payload], schema, sources=[{"@key": "s"}], open_rows=OpenRows())

    require_linear_time(
        FAMILIES[family], read_with_each_schema, cost_factor=COST_FACTOR, sizes=SIZES
    )
