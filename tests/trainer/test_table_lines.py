"""Lines are what joining each row's texts gives, whatever stands in the columns."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.rows.instants import format_instant
from sensorwatch.common.rows.limits import EARLIEST, LATEST
from sensorwatch.trainer.csv_lines import instants, join_lines, number_cells, text_cells

wholes = st.integers(-(2**63), 2**63 - 1)
finite = st.floats(allow_nan=False, allow_infinity=False)
moments = st.integers(EARLIEST, LATEST) | st.just(1_735_689_600_000_000)
rows = st.tuples(wholes, finite, moments, st.integers(0, 3))
TEXTS = ("plain", "", '"a,b"', "ä\udcff")


@given(st.lists(rows, max_size=20))
def test_lines_are_the_texts_of_their_cells(table: list[tuple[int, float, int, int]]) -> None:
    whole, number, moment, code = map(list, zip(*table, strict=True)) if table else ([],) * 4
    column = np.asarray(whole, dtype=np.int64)

    found = join_lines(
        [
            number_cells(column),
            number_cells(column).keep_where(column >= 0),
            number_cells(np.asarray(number, dtype=np.float64)),
            instants(np.asarray(moment, dtype=np.int64)),
            text_cells(TEXTS, np.asarray(code, dtype=np.int32)),
        ]
    )

    texts = found.tobytes().decode().splitlines(keepends=True)
    assert len(texts) == len(table)
    for text, (one, other, instant, place) in zip(texts, table, strict=True):
        cells = text.split(",", 4)
        escaped = TEXTS[place].encode(errors="backslashreplace").decode()
        assert cells[:2] == [str(one), str(one) if one >= 0 else ""]
        assert np.float64(cells[2]).tobytes() == np.float64(other).tobytes()
        assert cells[3:] == [format_instant(instant), f"{escaped}\n"]
