"""The body of a `/predict` request, split into one payload per row."""

from dataclasses import dataclass

import msgspec


class BadBody(ValueError):
    """The body is not `{"rows": [...]}`; the text says what was found instead."""


class TooManyRows(BadBody):
    """A request has more rows than allowed."""


@dataclass(frozen=True, slots=True)
class RequestRows:
    """The bytes of each row, in order."""

    history: list[bytes]
    """The rows before `rows`; empty if the body has no `history`."""
    rows: list[bytes]


class _Body(msgspec.Struct):
    rows: list[msgspec.Raw]
    history: list[msgspec.Raw] = []


_DECODER = msgspec.json.Decoder(_Body)


def split_request(body: bytes, *, max_rows: int) -> RequestRows:
    """Return the bytes of each row of a body, in order, for `common.rows.parsing.parse`.

    The rows are not decoded here, so that a row means the same as on the topic. Raises TooManyRows
    above `max_rows`, including history, and BadBody if the body is not `{"rows": [...]}` or
    `{"history": [...], "rows": [...]}`.
    """
    try:
        decoded = _DECODER.decode(body)
    except (ValueError, RecursionError) as error:
        raise BadBody(f'{error}; wanted {{"rows": [{{...}}, ...]}}') from error
    row_count, history = len(decoded.history) + len(decoded.rows), len(decoded.history)
    if row_count > max_rows:
        history_note = f", {history} of them history" if history else ""
        raise TooManyRows(
            f"{row_count} rows in one request{history_note}, at most {max_rows}: send several "
            "requests"
        )
    return RequestRows(
        [bytes(row) for row in decoded.history], [bytes(row) for row in decoded.rows]
    )
