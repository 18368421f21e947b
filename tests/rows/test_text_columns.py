"""For any values, the compiled kernels write the same texts as Python."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.limits import EARLIEST_TIME, LATEST_TIME
from sensorwatch.common.rows.text_columns import (
    choice_texts,
    join_texts,
    number_texts,
    time_texts,
)

integer_strategy = st.integers(-(2**63), 2**63 - 1)
float_strategy = st.floats(allow_nan=False, allow_infinity=False)
time_strategy = st.integers(EARLIEST_TIME, LATEST_TIME) | st.just(1_735_689_600_000_000)
row_strategy = st.tuples(integer_strategy, float_strategy, time_strategy, st.integers(0, 2))
TEXTS = (b"plain", b"", b'"a,b"')
EXTREME_FLOATS = [
    *(0.0, -0.0, 5e-324, 2.2250738585072014e-308, 1.7976931348623157e308, np.nan, np.inf, -np.inf),
    *(1e-5, 9.999999999999999e-6, 1e15, 9999999999999998.0, 1e16, 1e23, 9007199254740993.0),
    *(float(2.0**power) for power in range(-1074, 1024)),
    *(float(np.nextafter(2.0**power, 0.0)) for power in range(-1073, 1024)),
    *(float(f"1e{power}") for power in range(-323, 309)),
]


@given(st.lists(row_strategy, max_size=20))
def test_lines_are_the_joined_texts_of_their_cells(
    table_rows: list[tuple[int, float, int, int]],
) -> None:
    integer_values, number_values, time_values, text_codes = (
        map(list, zip(*table_rows, strict=True)) if table_rows else ([],) * 4
    )
    column = np.asarray(integer_values, dtype=np.int64)

    (numbers,) = number_texts([np.asarray(number_values, dtype=np.float64)])
    (integers,) = number_texts([column])
    cells_of_columns = [
        integers,
        integers.blank_other_rows(column >= 0),
        numbers,
        time_texts(np.asarray(time_values, dtype=np.int64)),
        choice_texts(TEXTS, np.asarray(text_codes, dtype=np.int32)),
    ]

    lines = join_texts(cells_of_columns, [b"", b",", b",", b",", b",", b"\n"])

    actual_lines = lines.data.tobytes().decode().splitlines(keepends=True)
    assert [text.decode() for text in lines.to_list()] == actual_lines
    assert len(actual_lines) == len(table_rows)
    for line, (integer_cell, float_cell, instant, text_index) in zip(
        actual_lines, table_rows, strict=True
    ):
        cells = line.split(",", 4)
        assert cells[:2] == [str(integer_cell), str(integer_cell) if integer_cell >= 0 else ""]
        assert np.float64(cells[2]).tobytes() == np.float64(float_cell).tobytes()
        assert cells[3:] == [format_instant(instant), f"{TEXTS[text_index].decode()}\n"]


@given(st.lists(st.floats() | st.floats(width=32), max_size=50))
def test_the_text_of_a_float_is_the_text_that_msgspec_writes(values: list[float]) -> None:
    assert float_texts(values) == [msgspec.json.encode(value) for value in values]


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_the_texts_of_extreme_floats_are_those_that_msgspec_writes(sign: float) -> None:
    values = [sign * value for value in EXTREME_FLOATS]

    assert float_texts(values) == [msgspec.json.encode(value) for value in values]


def test_the_texts_of_many_random_bits_are_those_that_msgspec_writes() -> None:
    random = np.random.default_rng(1)
    values = random.integers(0, 2**64, 100_000, dtype=np.uint64).view(np.float64).tolist()

    assert float_texts(values) == msgspec.json.encode(values)[1:-1].split(b",")


def float_texts(values: list[float]) -> list[bytes]:
    (texts,) = number_texts([np.asarray(values, dtype=np.float64)])
    return texts.to_list()
