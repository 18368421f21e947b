"""What is read by compiled code is read as Python and the strict readers do, to the last bit."""

import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sensorwatch.common.rows.fast.numbers import read_decimal
from sensorwatch.common.rows.fast.timestamps import TimeKind, read_instant
from sensorwatch.common.rows.instants import BadTime, time_reader
from sensorwatch.common.rows.schema import TimeField

floats = st.floats(allow_nan=False, allow_infinity=False)
decimals = st.tuples(st.integers(-(10**18), 10**18), st.integers(0, 22)).map(
    lambda parts: f"{parts[0]}e-{parts[1]}"
)
near = st.from_regex(r"\A[+-]?[0-9]{0,9}\.?[0-9]{0,12}(e[+-]?[0-9]{0,3})?\Z")


def read_number(text: str) -> tuple[float, bool]:
    value, plain = read_decimal(np.frombuffer(text.encode() or b" ", dtype=np.uint8), 0, len(text))
    return float(value), bool(plain)


def bits(value: float) -> bytes:
    return struct.pack("<d", value)


@given(floats.map(repr) | decimals | near)
@example("9007199254740993e-1")
@example("900719925474099.25")
@example("123456789012345678e-22")
def test_a_number_that_is_read_is_pythons_to_the_bit(text: str) -> None:
    value, plain = read_number(text)

    if plain:
        assert bits(value) == bits(float(text))


@given(st.floats(1e-4, 1e15), st.integers(0, 17))
def test_what_instruments_write_is_read(value: float, digits: int) -> None:
    assert read_number(repr(value))[1] == (len(repr(value).strip("0.")) <= 19)
    assert read_number(f"{value % 1000:.{digits % 10}f}")[1]


@pytest.mark.parametrize(
    "text", ["", "-", ".", "1e", "1e+", "nan", "inf", "1_0", "0x1", "1 ", "1e9999", "1.2.3", "--1"]
)
def test_other_forms_are_not_read(text: str) -> None:
    assert not read_number(text)[1]


times = st.builds(
    "{:04d}-{:02d}-{:02d}{}{:02d}:{:02d}:{:02d}{}{}".format,
    st.integers(0, 9999),
    st.integers(0, 13),
    st.integers(0, 32),
    st.sampled_from("T tX"),
    st.integers(0, 25),
    st.integers(0, 61),
    st.integers(0, 61),
    st.sampled_from(["", ".", ".5", ".123456", ".1234567", ".000001"]),
    st.sampled_from(["", "Z", "z", "+00:00", "-05:30", "+24:00", "+0100", "+1:00", "x"]),
)
epochs = st.integers(-(10**15), 10**15).map(str) | st.sampled_from(["", "-", "1.5", "1e3", "007"])


@given(times | st.text(max_size=24), st.sampled_from([None, "UTC"]))
def test_a_time_that_is_read_equals_the_strict_parsers(text: str, zone: str | None) -> None:
    compare(text, TimeField(format="rfc3339", naive_zone=zone), TimeKind.RFC3339)


@given(epochs)
def test_an_epoch_that_is_read_equals_the_strict_parsers(text: str) -> None:
    compare(text, TimeField(format="epoch_s"), TimeKind.EPOCH_S)
    compare(text, TimeField(format="epoch_ms"), TimeKind.EPOCH_MS)


def compare(text: str, declared: TimeField, kind: TimeKind) -> None:
    data = text.encode()
    result, plain = read_instant(
        np.frombuffer(data or b" ", dtype=np.uint8),
        0,
        len(data),
        int(kind),
        declared.naive_zone == "UTC",
    )
    if not plain:
        return
    value: object = text if kind is TimeKind.RFC3339 else int(text)
    try:
        assert result == time_reader(declared)(value)
    except BadTime as error:
        raise AssertionError(f"{text!r} is no time") from error


def test_the_usual_times_are_read() -> None:
    for text in ("2025-01-01T00:00:00Z", "2024-02-29 23:59:59.5+02:00", "2025-06-01T12:00:00"):
        data = np.frombuffer(text.encode(), dtype=np.uint8)
        assert read_instant(data, 0, len(text), int(TimeKind.RFC3339), True)[1], text
