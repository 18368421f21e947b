"""The body of a `/predict` request, split into one payload per row."""

import json
from dataclasses import dataclass

import msgspec

from sensorwatch.common.rows.strict_parsing import (
    decode_with_not_finite,
    has_not_finite_literal,
)


class BadBody(ValueError):
    """The body does not have the form `{"rows": [...]}`; the text describes the error."""


class TooManyRows(BadBody):
    """A request has more rows than allowed."""


@dataclass(frozen=True, slots=True)
class RequestRows:
    """The rows of a request in order, each as the bytes of its JSON object."""

    history: list[bytes]
    """Rows that come before `rows`; empty if the body has no `history`."""
    rows: list[bytes]


class _Body(msgspec.Struct):
    rows: list[msgspec.Raw]
    history: list[msgspec.Raw] = []


_DECODER = msgspec.json.Decoder(_Body)


def split_request(body: bytes, *, max_rows: int) -> RequestRows:
    """Return the bytes of each row of a body, in order, for `common.rows.parsing.parse`.

    The rows are not decoded here; `parse` decodes the rows like Kafka records. Raises
    TooManyRows if there are more than `max_rows` rows, including history. Raises BadBody if the
    body is not `{"rows": [...]}` or `{"history": [...], "rows": [...]}`.
    """
    try:
        decoded_body = _decode_body(body)
    except (ValueError, RecursionError) as error:
        raise BadBody(f'{error}; wanted {{"rows": [{{...}}, ...]}}') from error
    history_count = len(decoded_body.history)
    row_count = history_count + len(decoded_body.rows)
    if row_count > max_rows:
        history_note = f", {history_count} of them history" if history_count else ""
        raise TooManyRows(
            f"{row_count} rows in one request{history_note}, at most {max_rows}: send several "
            "requests"
        )
    return RequestRows(
        [bytes(row) for row in decoded_body.history], [bytes(row) for row in decoded_body.rows]
    )


def _decode_body(body: bytes) -> _Body:
    """Decode a body. If it is not JSON because of NaN or Infinity, encode its rows again.

    Only the row that contains such a number is then rejected.
    """
    try:
        return _DECODER.decode(body)
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        if not has_not_finite_literal(body):
            raise
        plain_body = decode_with_not_finite(body)
    return msgspec.convert(_with_raw_rows(plain_body), _Body)


def _with_raw_rows(body: object) -> object:
    if not isinstance(body, dict):
        return body
    return {name: _raw_elements(value) for name, value in body.items()}


def _raw_elements(value: object) -> object:
    """Return an array with the JSON of each element; any other value is returned unchanged."""
    if not isinstance(value, list):
        return value
    return [msgspec.Raw(json.dumps(element).encode()) for element in value]
