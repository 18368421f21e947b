"""The body of a request, `{"rows": [...]}`, cut into one payload per row."""

from dataclasses import dataclass

import msgspec


class BadBody(ValueError):
    """A request's body is not `{"rows": [...]}`; the text says what was found."""


class TooManyRows(BadBody):
    """A request holds more rows than it may."""


@dataclass(frozen=True, slots=True)
class RequestRows:
    """Each row's own bytes, in order."""

    history: list[bytes]
    """The rows before `rows`; none where the body has no `history`."""
    rows: list[bytes]


class _Body(msgspec.Struct):
    rows: list[msgspec.Raw]
    history: list[msgspec.Raw] = []


_DECODER = msgspec.json.Decoder(_Body)


def split_request(body: bytes, *, max_rows: int) -> RequestRows:
    """Cut a body into its rows' own bytes, in order, for `sensorwatch.common.rows.parsing.parse`.

    What stands inside a row is not looked at here, so that a row means the same as on the topic.
    Raises TooManyRows above `max_rows`, history included, BadBody where the body is not
    `{"rows": [...]}`, or `{"history": [...], "rows": [...]}`.
    """
    try:
        decoded = _DECODER.decode(body)
    except (ValueError, RecursionError) as error:
        raise BadBody(f'{error}; wanted {{"rows": [{{...}}, ...]}}') from error
    row_count, history = len(decoded.history) + len(decoded.rows), len(decoded.history)
    if row_count > max_rows:
        history_note = f", {history} of them history" if history else ""
        raise TooManyRows(
            f"{row_count} rows in one request{history_note}, at most {max_rows}: send several"
        )
    return RequestRows(
        [bytes(row) for row in decoded.history], [bytes(row) for row in decoded.rows]
    )
