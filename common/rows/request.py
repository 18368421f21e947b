"""The body of a request, `{"rows": [...]}`, cut into one payload per row."""

import msgspec


class BadBody(ValueError):
    """A request's body is not `{"rows": [...]}`; the text says what was found."""


class TooManyRows(BadBody):
    """A request holds more rows than it may."""


class _Body(msgspec.Struct):
    rows: list[msgspec.Raw]


_DECODER = msgspec.json.Decoder(_Body)


def rows_of(body: bytes, *, max_rows: int) -> list[bytes]:
    """Cut a body into its rows' own bytes, in order, for `common.rows.parsing.parse`.

    What stands inside a row is not looked at here, so that a row means the same as on the topic.
    Raises TooManyRows above `max_rows`, BadBody where the body is not `{"rows": [...]}`.
    """
    try:
        rows = _DECODER.decode(body).rows
    except (ValueError, RecursionError) as error:
        raise BadBody(f'{error}; wanted {{"rows": [{{...}}, ...]}}') from error
    if len(rows) > max_rows:
        raise TooManyRows(f"{len(rows)} rows in one request, at most {max_rows}: send several")
    return [bytes(row) for row in rows]
