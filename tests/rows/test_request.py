"""A request body is split into the bytes of its rows, or refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sensorwatch.common.rows.field_declarations import NumericColumn
from sensorwatch.common.rows.parsing import parse
from sensorwatch.common.rows.request import BadBody, TooManyRows, split_request
from sensorwatch.common.rows.schema import Schema

SCHEMA = Schema(signals=(NumericColumn(name="x1"),))


def test_each_element_of_rows_keeps_its_own_bytes() -> None:
    body = b'{"rows": [ {"x1" : 1e999} , 3, null,"a"], "more": 1}'

    split_body = split_request(body, max_rows=4)

    assert split_body.rows == [b'{"x1" : 1e999}', b"3", b"null", b'"a"']
    assert split_body.history == []


def test_history_is_split_like_the_rows_and_counts_towards_the_limit() -> None:
    body = b'{"history": [ {"x1" : 1} ,null], "rows": [{}]}'

    split_body = split_request(body, max_rows=3)

    assert (split_body.history, split_body.rows) == ([b'{"x1" : 1}', b"null"], [b"{}"])
    with pytest.raises(TooManyRows, match="3 rows in one request, 2 of them history, at most 2"):
        split_request(body, max_rows=2)


def test_more_rows_than_allowed_are_refused_with_both_numbers() -> None:
    with pytest.raises(TooManyRows, match="3 rows in one request, at most 2"):
        split_request(b'{"rows": [{}, {}, {}]}', max_rows=2)


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"[]",
            b'{"row": []}',
            b'{"rows": {}}',
            b'{"rows": [{]}',
            b"\xff",
            b'{"rows": [1]} x',
        ),
        *(b'{"history": []}', b'{"history": null, "rows": []}', b'{"history": {}, "rows": []}'),
    ],
)
def test_a_body_of_another_form_is_refused(body: bytes) -> None:
    with pytest.raises(BadBody, match="wanted"):
        split_request(body, max_rows=10)


def test_a_row_with_nan_does_not_refuse_its_neighbours() -> None:
    body = b'{"history": [{"x1": Infinity}], "rows": [{"x1": NaN}, {"x1": 1.5}, null]}'

    split_body = split_request(body, max_rows=4)

    assert split_body.history == [b'{"x1": Infinity}']
    assert split_body.rows == [b'{"x1": NaN}', b'{"x1": 1.5}', b"null"]


@pytest.mark.parametrize("body", [b"[NaN]", b'{"rows": NaN}', b'{"rows": [NaN}', b'{"rows": Nan}'])
def test_a_body_of_another_form_with_nan_is_refused(body: bytes) -> None:
    with pytest.raises(BadBody, match="wanted"):
        split_request(body, max_rows=10)


def test_a_very_deeply_nested_row_is_refused() -> None:
    with pytest.raises(BadBody):
        split_request(b'{"rows": [' + b"[" * 200_000 + b"]" * 200_000 + b"]}", max_rows=10)


@given(st.binary() | st.binary().map(lambda content: b'{"rows": [' + content + b"]}"))
def test_any_bytes_give_rows_or_a_bad_body(body: bytes) -> None:
    try:
        rows = split_request(body, max_rows=1_000).rows
    except BadBody:
        return
    readings, rejections = parse(rows, SCHEMA)
    assert len(readings) + len(rejections) == len(rows)
