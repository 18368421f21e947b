"""A number or time read by a kernel equals that of the strict parser, bit for bit."""

import struct

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sensorwatch.common.rows.fast.numbers import read_decimal
from sensorwatch.common.rows.fast.time_form import time_form
from sensorwatch.common.rows.fast.timestamps import read_instant
from sensorwatch.common.rows.field_declarations import TimeField
from sensorwatch.common.rows.instants import BadTime, time_reader

finite_floats = st.floats(allow_nan=False, allow_infinity=False)
decimal_texts = st.tuples(st.integers(-(10**18), 10**18), st.integers(0, 22)).map(
    lambda parts: f"{parts[0]}e-{parts[1]}"
)
number_like_texts = st.from_regex(r"\A[+-]?[0-9]{0,9}\.?[0-9]{0,12}(e[+-]?[0-9]{0,3})?\Z")


def read_number(text: str) -> tuple[float, bool]:
    value, is_read = read_decimal(
        np.frombuffer(text.encode() or b" ", dtype=np.uint8), 0, len(text)
    )
    return float(value), bool(is_read)


def float_bits(value: float) -> bytes:
    return struct.pack("<d", value)


@given(finite_floats.map(repr) | decimal_texts | number_like_texts)
@example("9007199254740993e-1")
@example("900719925474099.25")
@example("123456789012345678e-22")
def test_a_number_that_the_kernel_reads_has_the_bits_of_pythons_float(text: str) -> None:
    value, is_read = read_number(text)

    if is_read:
        assert float_bits(value) == float_bits(float(text))


@given(st.floats(1e-4, 1e15), st.integers(0, 17))
def test_the_kernel_reads_numbers_of_up_to_19_digits(value: float, digits: int) -> None:
    assert read_number(repr(value))[1] == (len(repr(value).strip("0.")) <= 19)
    assert read_number(f"{value % 1000:.{digits % 10}f}")[1]


@pytest.mark.parametrize(
    "text", ["", "-", ".", "1e", "1e+", "nan", "inf", "1_0", "0x1", "1 ", "1e9999", "1.2.3", "--1"]
)
def test_the_kernel_does_not_read_other_forms_of_numbers(text: str) -> None:
    assert not read_number(text)[1]


time_like_texts = st.builds(
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
epoch_texts = st.integers(-(10**15), 10**15).map(str) | st.sampled_from(
    ["", "-", "1.5", "1e3", "007"]
)


@given(time_like_texts | st.text(max_size=24), st.sampled_from([None, "UTC"]))
def test_a_time_that_the_kernel_reads_equals_that_of_the_strict_parser(
    text: str, zone: str | None
) -> None:
    assert_equals_strict_parser(text, TimeField(format=("rfc3339",), naive_zone=zone))


@given(epoch_texts)
def test_an_epoch_that_the_kernel_reads_equals_that_of_the_strict_parser(text: str) -> None:
    assert_equals_strict_parser(text, TimeField(format=("epoch_s",)))
    assert_equals_strict_parser(text, TimeField(format=("epoch_ms",)))


def assert_equals_strict_parser(text: str, time_field: TimeField) -> None:
    result = read_by_kernel(text, time_field)
    if result is None:
        return
    value: object = int(text) if time_field.formats[0].startswith("epoch") else text
    try:
        assert result == time_reader(time_field)(value, None)
    except BadTime as error:
        raise AssertionError(f"the strict parser refuses {text!r}") from error


def read_by_kernel(text: str, time_field: TimeField) -> int | None:
    """Return the time in microseconds UTC, or None if the kernel leaves it to the strict parser."""
    data = text.encode("utf-8", "surrogatepass")
    form = time_form(time_field)
    assert form is not None
    result, is_read = read_instant(np.frombuffer(data or b" ", dtype=np.uint8), 0, len(data), form)
    return int(result) if is_read else None


def test_the_kernel_reads_common_forms_of_times() -> None:
    time_field = TimeField(format=("rfc3339",), naive_zone="UTC")
    for text in ("2025-01-01T00:00:00Z", "2024-02-29 23:59:59.5+02:00", "2025-06-01T12:00:00"):
        assert read_by_kernel(text, time_field) is not None, text
