"""For any cells, the compiled kernel writes the same CSV lines as Python."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.limits import EARLIEST_TIME, LATEST_TIME
from sensorwatch.trainer.csv_lines import join_lines, number_cells, text_cells, time_cells

integer_strategy = st.integers(-(2**63), 2**63 - 1)
float_strategy = st.floats(allow_nan=False, allow_infinity=False)
time_strategy = st.integers(EARLIEST_TIME, LATEST_TIME) | st.just(1_735_689_600_000_000)
row_strategy = st.tuples(integer_strategy, float_strategy, time_strategy, st.integers(0, 3))
TEXTS = ("plain", "", '"a,b"', "ä\udcff")


@given(st.lists(row_strategy, max_size=20))
def test_lines_are_the_joined_texts_of_their_cells(
    table_rows: list[tuple[int, float, int, int]],
) -> None:
    integer_values, number_values, time_values, text_codes = (
        map(list, zip(*table_rows, strict=True)) if table_rows else ([],) * 4
    )
    column = np.asarray(integer_values, dtype=np.int64)

    lines = join_lines(
        [
            number_cells(column),
            number_cells(column).blank_other_rows(column >= 0),
            number_cells(np.asarray(number_values, dtype=np.float64)),
            time_cells(np.asarray(time_values, dtype=np.int64)),
            text_cells(TEXTS, np.asarray(text_codes, dtype=np.int32)),
        ]
    )

    actual_lines = lines.tobytes().decode().splitlines(keepends=True)
    assert len(actual_lines) == len(table_rows)
    for line, (integer_cell, float_cell, instant, text_index) in zip(
        actual_lines, table_rows, strict=True
    ):
        cells = line.split(",", 4)
        escaped_text = TEXTS[text_index].encode(errors="backslashreplace").decode()
        assert cells[:2] == [str(integer_cell), str(integer_cell) if integer_cell >= 0 else ""]
        assert np.float64(cells[2]).tobytes() == np.float64(float_cell).tobytes()
        assert cells[3:] == [format_instant(instant), f"{escaped_text}\n"]
