"""JSON objects that are written in bulk have the bytes that msgspec writes for each object."""

from typing import Any

import msgspec
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.rows.json_objects import JsonText, json_objects, json_texts
from sensorwatch.common.rows.text_columns import time_texts
from sensorwatch.consumer.threads import ThreadedRowExecutor

TEXTS = ("", 'a "quoted" \\ text\n', "ü\u2028\U0001f600")
Row = tuple[int, float, bool, int]
ROWS = st.lists(
    st.tuples(st.integers(-(2**63), 2**63 - 1), st.floats(), st.booleans(), st.integers(0, 2)),
    min_size=1,
    max_size=20,
)


def objects_of(rows: list[Row], **options: Any) -> list[bytes]:
    integers, floats, booleans, codes = zip(*rows, strict=True)
    number = np.asarray(floats, dtype=np.float64)
    return json_objects(
        {
            "integer": np.asarray(integers, dtype=np.int64),
            'a "name"': "one text",
            "object": {"number": number, "constant": 0.5, "none": [1, 2]},
            "list": [{"x": number}, {"x": np.asarray(booleans)}],
            "text": json_texts(TEXTS, np.asarray(codes, dtype=np.int32)),
            "time": JsonText(time_texts(np.zeros(len(rows), dtype=np.int64))),
        },
        **options,
    )


def reference(row: Row) -> bytes:
    integer, number, boolean, code = row
    return msgspec.json.encode(
        {
            "integer": integer,
            'a "name"': "one text",
            "object": {"number": number, "constant": 0.5, "none": [1, 2]},
            "list": [{"x": number}, {"x": boolean}],
            "text": TEXTS[code],
            "time": "1970-01-01T00:00:00Z",
        }
    )


@given(ROWS)
def test_objects_have_the_bytes_that_msgspec_writes(rows: list[Row]) -> None:
    assert objects_of(rows) == [reference(row) for row in rows]


def test_objects_do_not_depend_on_threads() -> None:
    random = np.random.default_rng(2)
    rows = [
        (int(integer), float(number), bool(integer % 2), int(integer % 3))
        for integer, number in zip(
            random.integers(-1000, 1000, 6_000), random.normal(size=6_000), strict=True
        )
    ]

    with ThreadedRowExecutor(2) as row_executor:
        assert objects_of(rows, row_executor=row_executor) == [reference(row) for row in rows]
