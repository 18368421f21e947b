"""The CPU time of a parser grows linearly with the input, even for input crafted to be slow."""

import itertools
from contextlib import suppress
from pathlib import Path
from unittest.mock import Mock

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.api.json_pointers import fault_pointers
from sensorwatch.common.errors import DataError
from sensorwatch.common.files.rows_of_file import read_batches, read_rows
from sensorwatch.common.rows.fast import sensor_ids
from sensorwatch.common.rows.parsing import MIN_PAYLOADS_FOR_KERNEL, parse
from sensorwatch.common.rows.request import BadBody, split_request
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import MAX_NESTING, _nested_too_deep, parse_strictly
from tests.rows.linear_time import (
    MAX_NANOSECONDS_PER_BYTE,
    PayloadFamily,
    number_members,
    repeat,
    require_linear_time,
)

# A tracer would double the measured times.
pytestmark = [pytest.mark.no_cover, pytest.mark.usefixtures("no_garbage_collection")]

FILE_SIZES = (4_096, 16_384, 65_536)
"""Sizes of the tested files in bytes. A larger file has only more lines."""
MAX_MICROSECONDS_PER_CSV_LINE = 600


def a_schema(*, prefix: str = "", unknown_fields: str = "reject") -> Schema:
    return schema_from_plain(
        {
            "unknown_fields": unknown_fields,
            "time": {"field": f"{prefix}timestamp", "format": "rfc3339"},
            "key": {"field": f"{prefix}sensor_id"},
            "signals": [{"name": "x1", "field": f"{prefix}x1"}],
        }
    )


def a_lenient_schema() -> Schema:
    """Return a schema with every rule that reads more than plain numbers and times."""
    return schema_from_plain(
        {
            "time": {
                "format": ["rfc3339", "epoch_ns", "excel_days", "%d.%m.%Y %H:%M"],
                "naive_zone": "Europe/Berlin",
            },
            "key": {"field": ["sensor_id", "line"], "optional": True},
            "defaults": {
                "missing": "hold_last",
                "missing_values": [-200, "nan", "n/a"],
                "out_of_range": "missing",
                "words": {"on": 1, "off": 0},
            },
            "signals": [{"name": "x1", "numbers": "unit", "unit": "bar", "max": 1e6}],
            "csv": {"delimiter": ";", "decimal": ",", "thousands": "."},
        }
    )


SCHEMAS = (
    a_schema(),
    a_schema(unknown_fields="ignore"),
    a_schema(prefix="a.b."),
    a_lenient_schema(),
)


VALID_FIELDS = b'{"timestamp":"2025-01-01T00:00:00Z","sensor_id":"s","x1":'
JSON_FAMILIES: dict[str, PayloadFamily] = {
    "brackets, then escaped quotes": lambda n: b"[" * 65 + b'"' + repeat(rb"\"", n),
    "brackets, then quotes": lambda n: b"[" * 65 + repeat(b'"', n),
    "brackets, then quotes and text": lambda n: b"[" * 65 + repeat(b'"a', n),
    "brackets, then backslashes": lambda n: b"[" * 65 + b'"' + repeat(b"\\", n),
    "open brackets": lambda n: repeat(b"[", n),
    "open objects": lambda n: repeat(b'{"a":', n),
    "empty arrays": lambda n: b"[" + repeat(b"[],", n) + b"1]",
    "digits": lambda n: VALID_FIELDS + repeat(b"9", n) + b"}",
    "decimal zeros": lambda n: VALID_FIELDS + b"0." + repeat(b"0", n) + b"1}",
    "exponent": lambda n: VALID_FIELDS + b"1e-" + repeat(b"9", n) + b"}",
    "integer of an unknown field": lambda n: VALID_FIELDS + b'1,"u":' + repeat(b"9", n) + b"}",
    "infinite number, then digits": lambda n: VALID_FIELDS + b"1e999,[" + repeat(b"9", n) + b"]}",
    "spaces": lambda n: VALID_FIELDS + repeat(b" ", n) + b"1}",
    "long id": lambda n: b'{"sensor_id":"' + repeat(b"s", n) + b'"}',
    "escapes in an id": lambda n: b'{"sensor_id":"' + repeat(rb"\u0041", n) + b'"}',
    "lone surrogates": lambda n: b'{"sensor_id":"' + repeat(rb"\ud800", n) + b'"}',
    "invalid UTF-8": lambda n: b'{"sensor_id":"' + repeat(b"\xff", n) + b'"}',
    "fraction of a second": lambda n: (
        b'{"timestamp":"2025-01-01T00:00:00.' + repeat(b"0", n) + b'Z"}'
    ),
    "digits of a time": lambda n: b'{"timestamp":"' + repeat(b"0", n) + b'"}',
    "unknown fields": lambda n: VALID_FIELDS + b"1," + number_members(b'"u%d":1', n) + b"}",
    "repeated fields": lambda n: VALID_FIELDS + repeat(b'1,"x1":', n) + b"1}",
    "dots in a name": lambda n: VALID_FIELDS + b'1,"' + repeat(b"a.", n) + b'":1}',
    "dots in names": lambda n: (
        VALID_FIELDS + b"1," + number_members(b'"' + b"a." * 80 + b'%d":1', n) + b"}"
    ),
    "names that begin like a nested one": lambda n: (
        b'{"a":{"b":{' + number_members(b'"x1.%d":1', n) + b"}}}"
    ),
    "infinite numbers": lambda n: VALID_FIELDS + b'1,"u":[' + repeat(b"1e999,", n) + b"1]}",
    "text of a number": lambda n: VALID_FIELDS + b'"' + repeat(b"9", n) + b'"}',
    "spaces in a text": lambda n: VALID_FIELDS + b'"1' + repeat(b" ", n) + b'b"}',
    "unit of a number": lambda n: VALID_FIELDS + b'"1 ' + repeat(b"b ", n) + b'"}',
    "text of an epoch": lambda n: b'{"timestamp":"1' + repeat(b"0", n) + b'"}',
    "hour 24": lambda n: b'{"timestamp":"01.01.2025 24:00' + repeat(b"24:00", n) + b'"}',
    "NaN": lambda n: VALID_FIELDS + b'1,"u":[' + repeat(b"NaN,", n) + b"1]}",
    "NaN and digits": lambda n: VALID_FIELDS + b"NaN,[" + repeat(b"9", n) + b"]}",
    "JSON in JSON": lambda n: b'"{' + repeat(rb"\"a", n) + b'"',
    "brackets in JSON in JSON": lambda n: b'"{' + repeat(b"[", n) + b'"',
    "nested arrays": lambda n: (
        VALID_FIELDS + b'1,"u":[' + repeat(b"[" * 60 + b"]" * 60 + b",", n) + b"1]}"
    ),
}
CSV_FAMILIES: dict[str, PayloadFamily] = {
    "commas": lambda n: repeat(b",", n) + b"\n",
    "quotes": lambda n: repeat(b'"', n) + b"\n",
    "an open quote, then text": lambda n: b'"' + repeat(b"a", n) + b"\n",
    "an open quote, then lines": lambda n: b'"' + repeat(b"a" * 500 + b"\n", n),
    "an open quote, then escaped quotes": lambda n: b'"' + repeat(b'""', n) + b"\n",
    "line feeds": lambda n: repeat(b"\n", n),
    "carriage returns": lambda n: repeat(b"\r", n),
    "short lines": lambda n: repeat(b"1\n", n),
    "digits": lambda n: b"2025-01-01T00:00:00Z,s," + repeat(b"9", n) + b"\n",
    "spaces": lambda n: b"2025-01-01T00:00:00Z,s," + repeat(b" ", n) + b"\n",
    "long id": lambda n: b"2025-01-01T00:00:00Z," + repeat(b"s", n) + b",1\n",
    "digits of a time": lambda n: repeat(b"2", n) + b",s,1\n",
    "quoted cells": lambda n: repeat(b'"2025-01-01T00:00:00Z","s","1"\n', n),
    "open quotes": lambda n: repeat(b'2025-01-01T00:00:00Z,"s,1\n', n),
    "invalid UTF-8": lambda n: repeat(b"\xff", n) + b"\n",
    "groups of digits": lambda n: b"2025-01-01T00:00:00Z;s;" + repeat(b".123", n) + b"x\n",
    "digits and spaces": lambda n: b"2025-01-01T00:00:00Z;s;1" + repeat(b" ", n) + b"1\n",
    "decimal commas": lambda n: b"2025-01-01T00:00:00Z;s;1" + repeat(b",1", n) + b"\n",
}
HEADER_FAMILIES: dict[str, PayloadFamily] = {
    "many columns": lambda n: number_members(b"c%d", n),
    "many dotted columns": lambda n: number_members(b"a.b.c%d", n),
    "dots in a column": lambda n: repeat(b"a.", n),
    "repeated columns": lambda n: repeat(b"x1,", n),
    "empty columns": lambda n: repeat(b",", n),
}


@pytest.mark.parametrize("family", JSON_FAMILIES)
def test_the_time_to_parse_a_payload_is_linear(family: str) -> None:
    def parse_with_each_schema(payload: bytes) -> None:
        for schema in SCHEMAS:
            parse_strictly([payload], schema)
            parse([payload] + [b"{}"] * MIN_PAYLOADS_FOR_KERNEL, schema)

    require_linear_time(JSON_FAMILIES[family], parse_with_each_schema)


@pytest.mark.parametrize("family", JSON_FAMILIES)
def test_the_time_to_answer_a_request_is_linear(family: str) -> None:
    def answer(payload: bytes) -> None:
        with suppress(BadBody):
            split_request(b'{"rows":[' + payload + b"]}", max_rows=1000)
        _, rejections = parse_strictly([payload], SCHEMAS[0])
        for rejection in rejections:
            list(fault_pointers([rejection], payload, SCHEMAS[0], "rows", 0))

    require_linear_time(JSON_FAMILIES[family], answer)


def read_file(path: Path, columns: bytes, lines: bytes) -> None:
    """Read a file with each schema; the header has the schema's delimiter."""
    for schema in SCHEMAS:
        header = columns.replace(b",", schema.csv.delimiter.encode())
        path.write_bytes(header + b"\n" + lines)
        for read_csv in (read_batches, read_rows):
            with suppress(DataError):
                for _ in read_csv(path, schema):
                    pass


@pytest.mark.parametrize("family", CSV_FAMILIES)
def test_the_time_to_read_a_csv_file_is_linear(family: str, tmp_path: Path) -> None:
    def read_csv(content: bytes) -> None:
        read_file(tmp_path / "rows.csv", b"timestamp,sensor_id,x1", content)

    sample = CSV_FAMILIES[family](10_000)
    lines_per_byte = (sample.count(b"\n") + sample.count(b"\r")) / len(sample)
    line_factor = lines_per_byte * MAX_MICROSECONDS_PER_CSV_LINE * 1000 / MAX_NANOSECONDS_PER_BYTE
    require_linear_time(
        CSV_FAMILIES[family], read_csv, cost_factor=1 + line_factor, sizes=FILE_SIZES
    )


@pytest.mark.parametrize("family", HEADER_FAMILIES)
def test_the_time_to_read_a_csv_header_is_linear(family: str, tmp_path: Path) -> None:
    def read_csv(columns: bytes) -> None:
        read_file(tmp_path / "rows.csv", b"timestamp,sensor_id,x1," + columns, b"1,2,3\n")

    require_linear_time(HEADER_FAMILIES[family], read_csv, cost_factor=10)


def hash_of_id(name: bytes) -> int:
    """Return the 64-bit FNV-1a hash, folded to 31 bits as the kernel folds it."""
    value = 0xCBF29CE484222325
    for byte in name:
        value = (value ^ byte) * 0x100000001B3 % 2**64
    return (value ^ (value >> 32)) & 0x7FFFFFFF


def colliding_ids(count: int, bits: int) -> list[bytes]:
    """Return ids whose hashes end in `bits` zero bits."""
    ids = (b"%d" % number for number in itertools.count())
    return list(itertools.islice((name for name in ids if hash_of_id(name) % 2**bits == 0), count))


def test_ids_that_collide_on_purpose_are_numbered_by_a_dict(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    number_by_dict = Mock(wraps=sensor_ids._number_by_dict)
    monkeypatch.setattr(sensor_ids, "_number_by_dict", number_by_dict)
    # For 200 ids, the hash table has 512 = 2**9 places.
    for ids, expected_calls in (
        (colliding_ids(200, bits=9), 1),
        ([b"%d" % number for number in range(200)], 0),
    ):
        number_by_dict.reset_mock()
        byte_lengths = np.asarray([len(name) for name in ids * 2], dtype=np.int64)

        number, names = sensor_ids.number_sensors(
            b"".join(ids * 2), np.cumsum(byte_lengths) - byte_lengths, byte_lengths
        )

        assert number.tolist() == [*range(200)] * 2
        assert names == tuple(name.decode() for name in ids)
        assert number_by_dict.call_count == expected_calls


def depth_byte_by_byte(payload: bytes) -> int:
    """Return the largest number of brackets, outside strings, that are open at the same time."""
    depth = max_depth = position = 0
    while position < len(payload):
        byte = payload[position : position + 1]
        if byte == b'"':
            closing_quote = position + 1
            while (
                closing_quote < len(payload) and payload[closing_quote : closing_quote + 1] != b'"'
            ):
                closing_quote += 2 if payload[closing_quote : closing_quote + 1] == b"\\" else 1
            # A quote without a closing quote starts no string.
            position = closing_quote if closing_quote < len(payload) else position
        depth += (byte in b"[{") - (byte in b"]}")
        max_depth = max(max_depth, depth)
        position += 1
    return max_depth


@given(st.lists(st.sampled_from([b"[" * 33, b"{", b"]", b"}", b'"', b"\\", b"a", b"\n", b'\\"'])))
def test_the_nesting_is_that_of_a_reader_from_byte_to_byte(pieces: list[bytes]) -> None:
    payload = b"".join(pieces)

    assert _nested_too_deep(payload) == (depth_byte_by_byte(payload) > MAX_NESTING)


def test_the_default_sensor_has_one_number_in_both_parsers() -> None:
    schema = schema_from_plain(
        {
            "time": {"field": "timestamp", "format": "rfc3339"},
            "key": {"field": "sensor_id", "optional": True},
            "signals": [{"name": "x1"}],
        }
    )
    row = b'{"timestamp":"2025-01-01T00:00:00Z",%s"x1":1}'
    ids = [b"", b'"sensor_id":"default",', b'"sensor_id":"s",', b""]
    payloads = [row % name for name in ids]

    kernel_readings, _ = parse(payloads, schema)
    strict_readings, _ = parse_strictly(payloads, schema)

    assert kernel_readings.sensor_ids == strict_readings.sensor_ids == ("default", "s")
    assert kernel_readings.sensor.tolist() == strict_readings.sensor.tolist() == [0, 0, 1, 0]
