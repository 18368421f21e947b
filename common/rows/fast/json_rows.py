"""Rows out of JSON texts by a schema: a kernel that reads what is usual and leaves the rest.

What it takes, it takes as `sensorwatch.common.rows.fields` would, to the bit; whatever it is not certain of (an
escape, a nested value, a value that may be refused) is unusual and is for the strict parser to say.
"""

import numpy as np

from sensorwatch.common.kernels import kernel, part
from sensorwatch.common.rows.fast.json_number import UNUSUAL, number
from sensorwatch.common.rows.fast.timestamps import TimeKind, instant
from sensorwatch.common.rows.limits import (
    FLOAT32_OVERFLOW,
    MAX_PAYLOAD_BYTES,
    MAX_SENSOR_ID_CHARACTERS,
    NO_TIME,
)

NO_KEY, KEY, OPTIONAL_KEY = 0, 1, 2
DEFAULT = -1
"""As the length of a sensor id: there is none."""
FAR_APART = 2**61
"""Microseconds beyond which a difference of times might not fit."""

_QUOTE, _BACKSLASH, _COLON, _COMMA = ord('"'), ord("\\"), ord(":"), ord(",")
_OPEN, _CLOSE, _MINUS, _ZERO, _NINE = ord("{"), ord("}"), ord("-"), ord("0"), ord("9")
_SPACE, _TAB, _LINE, _RETURN, _LAST_PLAIN = ord(" "), 9, 10, 13, ord("~")
_TRUE, _FALSE, _NULL = (
    np.frombuffer(word, np.uint8).copy() for word in (b"true", b"false", b"null")
)


@kernel
def read_rows(  # type: ignore[no-untyped-def]
    first, last, data, ends, names, name_ends, low, high, held, rules, received,
    usual, event_time, values, id_at, id_length,
):  # fmt: skip
    """Read the texts `first` to before `last` of those that end at `ends` in `data`.

    `usual` says which of them are rows now.
    """
    seen = np.zeros(len(name_ends), dtype=np.int64)
    begin = ends[first - 1] if first else 0
    for row in range(first, last):
        usual[row] = ends[row] - begin <= MAX_PAYLOAD_BYTES and _read_row(
            data, begin, ends[row], names, name_ends, low, high, held, rules, received[row],
            row, seen, event_time, values[row], id_at, id_length,
        )  # fmt: skip
        begin = ends[row]


@part
def _read_row(  # type: ignore[no-untyped-def]
    data, at, end, names, name_ends, low, high, held, rules, received,
    row, seen, event_time, values, id_at, id_length,
):  # fmt: skip
    ahead, key, ignore_unknown = rules[2:]
    id_length[row] = DEFAULT
    at = _past_space(data, at, end)
    if at >= end or data[at] != _OPEN:
        return False
    expected, comma = 0, True
    while comma:
        at = _past_space(data, at + 1, end)
        at, field = _name(data, at, end, names, name_ends, expected)
        if at < 0 or at >= end:
            return False
        if field < 0:
            at = _past_value(data, at, end) if ignore_unknown else UNUSUAL
        elif seen[field] > row:  # twice
            return False
        else:
            at = _read_field(data, at, end, field, low, high, held, rules, row, event_time,
                             values, id_at, id_length)  # fmt: skip
            seen[field] = row + 1
            expected = field + 1
        at = _past_space(data, at, end) if at >= 0 else end
        if at >= end:
            return False
        comma = data[at] == _COMMA
    if data[at] != _CLOSE or _past_space(data, at + 1, end) != end:
        return False
    return _complete(seen, row, key, held, values) and _in_time(event_time[row], received, ahead)


@part
def _read_field(  # type: ignore[no-untyped-def]
    data, at, end, field, low, high, held, rules, row, event_time, values, id_at, id_length,
):  # fmt: skip
    """Read the value of a field; return the position after it."""
    kind, naive_is_utc, _, key, _ = rules
    column = field - (1 if key == NO_KEY else 2)
    if field == 0:
        at, event_time[row] = _time(data, at, end, kind, naive_is_utc)
        return at
    if column >= 0:
        at, values[column] = _value(data, at, end, low[column], high[column], held[column])
        return at
    close = _text(data, at, end)
    id_at[row], id_length[row] = at + 1, close - at - 1
    return close + 1 if close >= 0 and 1 <= id_length[row] <= MAX_SENSOR_ID_CHARACTERS else UNUSUAL


@part
def _complete(seen, row, key, held, values):  # type: ignore[no-untyped-def]
    """Say whether all is there that must be; what may be held and is not there becomes NaN."""
    if seen[0] <= row or (key == KEY and seen[1] <= row):
        return False
    first_column = len(seen) - len(values)
    for column in range(len(values)):
        if seen[first_column + column] <= row:
            if not held[column]:
                return False
            values[column] = np.nan
    return True


@part
def _in_time(event_time, received, ahead):  # type: ignore[no-untyped-def]
    if ahead < 0 or received == NO_TIME:
        return True
    return -FAR_APART < received < FAR_APART and event_time - received <= ahead


@part
def _name(data, at, end, names, name_ends, expected):  # type: ignore[no-untyped-def]
    """Read a name with its colon; return where the value begins, and the field or -1."""
    if at >= end or data[at] != _QUOTE:
        return UNUSUAL, -1
    at += 1
    if expected >= len(name_ends):
        expected = 0
    field, close = -1, at + name_ends[expected] - (name_ends[expected - 1] if expected else 0)
    if close < end and data[close] == _QUOTE and _is(data, at, names, name_ends, expected):
        field = expected
    else:
        close = _text(data, at - 1, end)
        if close < 0:
            return UNUSUAL, -1
        for other in range(len(name_ends)):
            length = name_ends[other] - (name_ends[other - 1] if other else 0)
            if length == close - at and _is(data, at, names, name_ends, other):
                field = other
                break
    at = _past_space(data, close + 1, end)
    if at >= end or data[at] != _COLON:
        return UNUSUAL, -1
    return _past_space(data, at + 1, end), field


@part
def _is(data, at, names, name_ends, field):  # type: ignore[no-untyped-def]
    first = name_ends[field - 1] if field else 0
    for place in range(first, name_ends[field]):
        if data[at + place - first] != names[place]:
            return False
    return True


@part
def _past_space(data, at, end):  # type: ignore[no-untyped-def]
    while at < end and (
        data[at] == _SPACE or data[at] == _LINE or data[at] == _RETURN or data[at] == _TAB
    ):
        at += 1
    return at


@part
def _text(data, at, end):  # type: ignore[no-untyped-def]
    """Return the closing quote of the text that begins at `at`, if it is plain and printable."""
    if data[at] != _QUOTE:
        return UNUSUAL
    at += 1
    while at < end and data[at] != _QUOTE:
        if data[at] < _SPACE or data[at] > _LAST_PLAIN or data[at] == _BACKSLASH:
            return UNUSUAL
        at += 1
    return at if at < end else UNUSUAL


@part
def _word(data, at, end, word):  # type: ignore[no-untyped-def]
    """Return the position after the word, if it stands there."""
    if at + len(word) > end:
        return UNUSUAL
    for place in range(len(word)):
        if data[at + place] != word[place]:
            return UNUSUAL
    return at + len(word)


@part
def _past_value(data, at, end):  # type: ignore[no-untyped-def]
    """Pass over a value that nobody asked for, if it is plain."""
    first = data[at]
    if first == _QUOTE:
        close = _text(data, at, end)
        return close + 1 if close >= 0 else UNUSUAL
    if first == _TRUE[0]:
        return _word(data, at, end, _TRUE)
    if first == _FALSE[0]:
        return _word(data, at, end, _FALSE)
    if first == _NULL[0]:
        return _word(data, at, end, _NULL)
    return number(data, at, end)[0]


@part
def _value(data, at, end, low, high, held):  # type: ignore[no-untyped-def]
    """Read a column's value; return the position after it, and the value."""
    if data[at] == _NULL[0]:
        return (_word(data, at, end, _NULL) if held else UNUSUAL), np.nan
    at, value = number(data, at, end)
    if at < 0 or not (low <= value <= high and abs(value) < FLOAT32_OVERFLOW):
        return UNUSUAL, 0.0
    return at, value + 0.0  # minus zero becomes zero


@part
def _time(data, at, end, kind, naive_is_utc):  # type: ignore[no-untyped-def]
    """Read the time; return the position after it, and the time."""
    if kind == TimeKind.RFC3339:
        close = _text(data, at, end)
        if close < 0:
            return UNUSUAL, 0
        time, plain = instant(data, at + 1, close, kind, naive_is_utc)
        return close + 1 if plain else UNUSUAL, time
    first = at
    while at < end and (_ZERO <= data[at] <= _NINE or data[at] == _MINUS):
        at += 1
    time, plain = instant(data, first, at, kind, naive_is_utc)
    digit = first + (data[first] == _MINUS)
    return at if plain and (data[digit] != _ZERO or at == digit + 1) else UNUSUAL, time
