"""The fast parser gives the same readings and rejections as the strict parser, bit for bit."""

import json
import math
import random
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.row_executor import run_serially
from sensorwatch.common.rows.limits import MAX_PAYLOAD_BYTES
from sensorwatch.common.rows.parsing import MIN_PAYLOADS_FOR_KERNEL, parse
from sensorwatch.common.rows.schema import Schema, schema_from_plain
from sensorwatch.common.rows.strict_parsing import parse_strictly, times_as_array
from tests.reading_builders import a_schema

X1, X2 = {"name": "x1", "min": -50.0, "max": 50.0}, {"name": "x2"}
BASE_SCHEMA: dict[str, Any] = {"signals": [X1, X2], "key": {"field": "id"}}
HOLD_LAST_X1 = {"name": "x1", "missing": "hold_last", "min": -50.0}
SCHEMAS: dict[str, dict[str, Any]] = {
    "plain": BASE_SCHEMA,
    "naive": BASE_SCHEMA | {"time": {"naive_zone": "UTC", "max_future_seconds": 60}},
    "zoned": BASE_SCHEMA | {"time": {"naive_zone": "Europe/Berlin"}},
    "optional key": BASE_SCHEMA | {"key": {"field": "id", "optional": True}},
    "no key": {"signals": [X1, X2]},
    "strict": BASE_SCHEMA | {"unknown_fields": "reject"},
    "hold_last": BASE_SCHEMA
    | {"signals": [HOLD_LAST_X1, X2], "context": [{"name": "load", "missing": "hold_last"}]},
    "epoch_s": BASE_SCHEMA | {"time": {"format": "epoch_s", "max_future_seconds": 60}},
    "epoch_ms": BASE_SCHEMA | {"time": {"format": "epoch_ms"}},
    "pattern": BASE_SCHEMA | {"time": {"format": "%d.%m.%Y %H:%M", "naive_zone": "UTC"}},
    "nested": BASE_SCHEMA | {"signals": [{"name": "x1", "field": "values.x1"}, X2]},
    "dotted name": BASE_SCHEMA | {"signals": [{"name": "x1", "field": r"x\.1"}]},
    "missing values": BASE_SCHEMA
    | {
        "defaults": {"missing_values": [3, -0.25, "n/a", "nan"], "out_of_range": "missing"},
        "signals": [HOLD_LAST_X1, X2],
    },
    "texts": BASE_SCHEMA | {"defaults": {"numbers": "text", "words": {"true": 1, "off": 0}}},
    "several formats": BASE_SCHEMA | {"time": {"format": ["rfc3339", "epoch_s"]}},
    "nanoseconds": BASE_SCHEMA | {"time": {"format": "epoch_ns"}},
    "two keys": BASE_SCHEMA | {"key": {"field": ["id", "x"]}},
    "odd name": BASE_SCHEMA | {"signals": [{"name": "temp °C"}, {"name": 'x"2'}]},
}
SCHEMAS_FOR_KERNEL = set(SCHEMAS) - {"pattern", "nested", "odd name", "nanoseconds", "two keys"}
ROWS = [
    b'{"timestamp":"2025-01-01T00:00:00Z","id":"pump-7","x1":1.5,"x2":-0.25}',
    b'{"timestamp": "2024-02-29 23:59:59.123456789+01:30", "id": "a b~", "x2": 3, "x1": -0.0}',
    b' {\t"x1":2e-3 ,\r\n"x2" : 9007199254740993 , "id":"\xc3\xa4","timestamp":"2025-01-01"} ',
    b'{"timestamp":1735689600,"id":"pump-7","x1":0.9417154046806644,"x2":1E+2}',
    b'{"timestamp":1735689600000,"id":"pump-8","x1":null,"x2":1.7976931348623157e308,"load":null}',
    b'{"timestamp":1735689600.125,"id":7,"x1":1,"x2":2,"note":"more","flag":true,"none":null}',
    b'{"timestamp":"01.02.2025 10:30","id":"p","x1":1,"x2":2,"load":0.1,"more":[1,{"a":2}]}',
    b'{"timestamp":"2025-01-01T00:00:00Z","id":"p","values":{"x1":3},"x2":2,"x2":2}',
    b'{"timestamp":"2025-01-01T00:00:00Z","id":"p\\u0041","x1":3,"x2":2, "temp \xc2\xb0C":1}',
    b'{"timestamp":"2025-01-01T00:00:00Z","id":"p","x.1":4}',
    b'{"timestamp":"2025-01-01T00:00:00Z","id":"17.0","x1":"2.5","x2":true,"x.1":4}',
    b'\xef\xbb\xbf{"timestamp":"2025-01-01T00:00:00Z","id":17.0,"x1":NaN,"x2":"OFF"}',
    b'\0\0\0\0\7{"timestamp":"2025-01-01T00:00:00 UTC","id":"-017.00","x1":-99,"x2":-Infinity}',
    b'{"timestamp":"2025-01-01T00:00:00Z","x1":3.4028235677973366e+38,"x2":2,"x":-1.5e+3}',
]
NUMBER_TEXTS = [
    *("0", "-0", "-0.0", "00", "01", "-", "+1", "1.", ".5", "1e", "1e+", "1e5", "1E-05", "0e400"),
    *("1e400", "-1e400", "1e-400", "5e-324", "2.2250738585072011e-308", "NaN", "Infinity", "0x10"),
    *(
        "18446744073709551616",
        "9999999999999999999",
        "12345678901234567890123",
        "9223372036854775808",
    ),
    *("9007199254740993", "9007199254740992.5", "0.1e1", "50", "50.0", "50.00000000000001", "-50"),
    *("0.000000000000000000000000000001234", "1e22", "1e23", "8.5e-27", "123456789012345678e-30"),
    *("3.4028235677973366e38", "3.4028235677973362e38", "1_0", "1,5", '"1"', "true", "[1]", "{}"),
]
TIME_TEXTS = [
    *(
        "2025-01-01T00:00:00Z",
        "2025-01-01t00:00:00z",
        "2025-01-01 00:00:00+00:00",
        "2025-1-1T0:0:0Z",
    ),
    *("0001-01-01T00:00:00Z", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59.999999Z"),
    *("9999-12-31T23:59:59-00:01", "0000-01-01T00:00:00Z", "2023-02-29T00:00:00Z"),
    *(
        "2000-02-29T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2025-04-31T00:00:00Z",
        "2025-13-01T00:00:00Z",
    ),
    *(
        "2025-01-01T24:00:00Z",
        "2025-01-01T00:00:60Z",
        "2025-01-01T00:00:00.Z",
        "2025-01-01T00:00:00",
    ),
    *(
        "2025-01-01T00:00:00.1",
        "2025-01-01T00:00:00.12345678901234567890Z",
        "2025-01-01T00:00:00,5Z",
    ),
    *("2025-01-01T00:00:00.123456789012345678901Z", "2025-01-01T00:00:00+24:00", "", "2025-01-01"),
    *("2025-01-01T00:00:00+23:59", "2025-01-01T00:00:00-23:60", "2025-01-01T00:00:00+0100"),
    *(
        "-025-01-01T00:00:00Z",
        "20 5-01-01T00:00:00Z",
        "2025-01-01T00:00:00ZZ",
        "2025-01-01X00:00:00Z",
    ),
    *("1969-12-31T23:59:59.999999Z", "1600-02-29T12:00:00Z", "2025-01-01T00:01:00Z"),
]
RECEIPT_TIME = 1_735_689_600_000_000


@cache
def schema_with(name: str) -> Schema:
    return schema_from_plain(SCHEMAS[name])


def assert_both_parsers_agree(
    payloads: Sequence[bytes | None], schema: Schema, received: Any = None
) -> int:
    """Check that both parsers give the same result, and return the number of readings."""
    padding: list[bytes | None] = [b"{"] * MIN_PAYLOADS_FOR_KERNEL
    payloads = [*payloads, *padding]
    if received is not None:
        received = [*received, *[None] * MIN_PAYLOADS_FOR_KERNEL]
    readings, rejections = parse(payloads, schema, received=received)
    strict_readings, strict_rejections = parse_strictly(payloads, schema, received=received)
    assert rejections == strict_rejections
    assert readings.sensor_ids == strict_readings.sensor_ids
    for name in ("index", "event_time", "sensor"):
        assert np.array_equal(getattr(readings, name), getattr(strict_readings, name)), name
    for name in ("values", "context"):
        actual, expected = getattr(readings, name), getattr(strict_readings, name)
        assert np.array_equal(actual.view(np.uint64), expected.view(np.uint64)), name
    for actual, expected in zip(arrays_of(readings), arrays_of(strict_readings), strict=True):
        assert actual.dtype == expected.dtype
        assert actual.flags.c_contiguous
    return len(readings)


def arrays_of(readings: Any) -> list[Any]:
    names = ("index", "event_time", "sensor", "values", "context")
    return [getattr(readings, name) for name in names]


def a_row(**changes: str) -> bytes:
    fields = {"timestamp": '"2025-01-01T00:00:00Z"', "id": '"p"', "x1": "1", "x2": "2"} | changes
    return ("{" + ",".join(f'"{name}":{text}' for name, text in fields.items()) + "}").encode()


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_kind_of_row_is_read_the_same_by_both_parsers(name: str) -> None:
    reading_count = assert_both_parsers_agree([*ROWS, None, b""], schema_with(name))

    assert reading_count > 0 or name not in SCHEMAS_FOR_KERNEL


@pytest.mark.parametrize("name", ["plain", "hold_last", "strict"])
@pytest.mark.parametrize("number", NUMBER_TEXTS)
def test_every_form_of_a_number_is_read_the_same_by_both_parsers(name: str, number: str) -> None:
    rows = [a_row(x1=number), a_row(x2=number), a_row(more=number), a_row(x2=number + " ")]
    assert_both_parsers_agree([*rows, a_row(x1="-" + number)], schema_with(name))


@pytest.mark.parametrize("name", ["plain", "naive", "zoned"])
@pytest.mark.parametrize("time", TIME_TEXTS)
def test_every_form_of_a_time_is_read_the_same_by_both_parsers(name: str, time: str) -> None:
    rows = [a_row(timestamp=json.dumps(time))] * 3
    assert_both_parsers_agree(rows, schema_with(name), [RECEIPT_TIME, None, RECEIPT_TIME + 10**9])


@pytest.mark.parametrize("name", ["epoch_s", "epoch_ms"])
@pytest.mark.parametrize(
    "time", [*NUMBER_TEXTS, "1735689600", "-5", "253402300799", "253402300800"]
)
def test_every_form_of_an_epoch_is_read_the_same_by_both_parsers(name: str, time: str) -> None:
    assert_both_parsers_agree([a_row(timestamp=time)] * 2, schema_with(name), [RECEIPT_TIME, None])


@pytest.mark.parametrize("count", [0, 1, MIN_PAYLOADS_FOR_KERNEL - 1, MIN_PAYLOADS_FOR_KERNEL, 50])
def test_any_number_of_payloads_can_be_parsed(count: int) -> None:
    rows = [a_row(id=f'"s{number % 3}"', x1=str(number)) for number in range(count)]

    readings, _ = parse(rows, schema_with("plain"))

    assert readings.values[:, 0].tolist() == [float(number) for number in range(count)]
    assert readings.sensor_ids == tuple(f"s{number}" for number in range(min(count, 3)))


def test_sensors_are_numbered_by_first_appearance_in_both_parsers() -> None:
    """The sensor of row 0 gets number 0, though its escape leaves the row to the strict parser."""
    escaped = b'"p\\u0041"'.decode()
    rows = [a_row(id=escaped), a_row(id='"b"'), a_row(id='"pA"'), a_row(id='"c"'), a_row(id="7")]

    readings, _ = parse(rows, schema_with("plain"))

    assert readings.sensor_ids == ("pA", "b", "c", "7")
    assert readings.sensor.tolist() == [0, 1, 0, 2, 3]
    assert_both_parsers_agree(rows, schema_with("plain"))


def test_many_sensors_get_distinct_numbers() -> None:
    names = [f"sensor-{number:06d}" for number in range(5_000)]
    rows = [a_row(id=f'"{name}"') for name in [*names, *reversed(names)]]

    readings, _ = parse(rows, schema_with("plain"))

    assert readings.sensor_ids == tuple(names)
    assert readings.sensor.tolist() == [*range(5_000), *reversed(range(5_000))]


def test_long_payloads_are_parsed_the_same_by_both_parsers() -> None:
    for size in (MAX_PAYLOAD_BYTES - 100, MAX_PAYLOAD_BYTES + 1):
        assert_both_parsers_agree([a_row(more=json.dumps("x" * size))], schema_with("plain"))


def test_extreme_times_of_receipt_do_not_overflow() -> None:
    received = [-(2**63) + 1, 2**63 - 1, 2**61, -(2**61), None]
    assert_both_parsers_agree([a_row()] * 5, schema_with("naive"), received)


@given(
    values=st.lists(
        st.one_of(
            st.floats(allow_nan=False, allow_infinity=False),
            st.floats(-1e6, 1e6),
            st.integers(-(10**19), 10**19),
            st.decimals(-1000, 1000, places=6).map(float),
        ),
        min_size=1,
        max_size=30,
    )
)
def test_numbers_written_by_python_are_read_the_same_by_both_parsers(values: list[float]) -> None:
    reading_count = assert_both_parsers_agree(
        [a_row(x2=json.dumps(value)) for value in values], schema_with("plain")
    )

    assert reading_count >= sum(abs(value) < 1e38 for value in values)


@given(st.data())
def test_mutated_rows_are_read_the_same_by_both_parsers(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(SCHEMAS)))
    rows = data.draw(st.lists(st.sampled_from(ROWS), min_size=1, max_size=5))
    mutated_rows = [_mutate(row, data.draw(st.randoms(use_true_random=False))) for row in rows]

    assert_both_parsers_agree(mutated_rows, schema_with(name), [RECEIPT_TIME] * len(mutated_rows))


@pytest.mark.parametrize("seed", range(4))
def test_tens_of_thousands_of_mutations_are_read_the_same_by_both_parsers(seed: int) -> None:
    rng = random.Random(seed)
    for name in sorted(SCHEMAS_FOR_KERNEL):
        rows = [_mutate(rng.choice(ROWS), rng) for _ in range(1_500)]
        assert_both_parsers_agree(rows, schema_with(name), [RECEIPT_TIME] * len(rows))


def test_the_kernel_reads_rows_of_the_common_form() -> None:
    """If the kernel read no row, the other tests would compare the strict parser with itself."""
    time = "2025-01-01T00:00:00Z"
    values = np.random.default_rng(0).normal(size=(1_000, 3))
    rows = [
        json.dumps({"timestamp": time, "sensor_id": "pump-7", "x1": a, "x2": b, "x3": c}).encode()
        for a, b, c in values.tolist()
    ]
    schema = a_schema()

    parsed_values = parse(rows, schema)[0].values

    assert np.array_equal(parsed_values, values)
    assert math.isclose(_share_read_by_kernel(rows, schema), 1.0)


def _share_read_by_kernel(rows: Sequence[bytes], schema: Schema) -> float:
    from sensorwatch.common.rows import parsing

    plan = parsing._kernel_schema(schema)
    assert plan is not None
    is_read_by_kernel, _ = parsing._read_by_kernel(
        rows, plan, schema, times_as_array(None, len(rows)), run_serially
    )
    return float(is_read_by_kernel.mean())


def _mutate(row: bytes, rng: random.Random) -> bytes:
    """Return a row after up to three mutations, which often insert characters of JSON syntax."""
    mutated_row = bytearray(row)
    for _ in range(rng.choice([0, 1, 1, 1, 2, 3])):
        position = rng.randrange(len(mutated_row)) if mutated_row else 0
        match rng.randrange(5):
            case 0:
                mutated_row[position : position + 1] = bytes([rng.randrange(256)])
            case 1:
                del mutated_row[position : position + rng.randint(1, 3)]
            case 2:
                mutated_row.insert(
                    position, rng.choice(b'"\\{}[]:,. -+eE0123456789TZtnf\t\n\x00\x7f\xff')
                )
            case 3:
                mutated_row[position:position] = mutated_row[
                    position : position + rng.randint(1, 12)
                ]
            case _:
                mutated_row[position:] = mutated_row[position:][: rng.randint(0, 40)]
    return bytes(mutated_row)
