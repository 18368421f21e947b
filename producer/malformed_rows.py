"""Malformed rows, each broken in one way, as JSON and as CSV cells."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sensorwatch.common.simulation.faults import Defect

# What Schema Registry's clients put before a value: a zero byte and a schema's id.
_FRAME = b"\x00\x00\x00\x00\x07"
# More than a float64 holds; JSON has no other way to write an infinity.
_OVERFLOW = msgspec.Raw(b"1e999")


def broken_json(fields: Mapping[str, Any], defect: Defect) -> bytes:
    """Return the row's JSON with the defect; the last field is the one that is broken."""
    whole = msgspec.json.encode(fields)
    last = list(fields)[-1]
    match defect:
        case Defect.EMPTY:
            return b""
        case Defect.FRAMED:
            return _FRAME + whole
        case Defect.TRUNCATED:
            return whole[: len(whole) // 2]
        case Defect.NOT_OBJECT:
            return msgspec.json.encode(list(fields.values()))
        case Defect.NAN:  # as Python's own json module writes it, though it is no JSON
            number = msgspec.json.encode(fields[last])
            return whole.removesuffix(number + b"}") + b"NaN}"
        case Defect.MISSING_FIELD:
            return msgspec.json.encode({name: fields[name] for name in fields if name != last})
    return msgspec.json.encode({**fields, **_replaced(last, defect)})


def _replaced(last: str, defect: Defect) -> Mapping[str, object]:
    replacements: dict[Defect, Mapping[str, object]] = {
        Defect.TEXT: {last: "n/a"},
        Defect.NULL: {last: None},
        Defect.OVERFLOW: {last: _OVERFLOW},
        Defect.OUT_OF_RANGE: {last: 1e6},
        Defect.BAD_TIMESTAMP: {"timestamp": "yesterday"},
        Defect.BAD_KEY: {"sensor_id": ""},
    }
    return replacements[defect]


def broken_cells(cells: list[object], defect: Defect) -> list[object]:
    """Return a CSV line's cells (sensor, time, signals) with the defect, as many as before."""
    return _CELLS[defect](cells)


def _last(text: object) -> Callable[[list[object]], list[object]]:
    return lambda cells: [*cells[:-1], text]


_CELLS: dict[Defect, Callable[[list[object]], list[object]]] = {
    Defect.TRUNCATED: lambda cells: [*cells[:2], *([""] * (len(cells) - 2))],
    Defect.TEXT: _last("n/a"),
    Defect.MISSING_FIELD: _last(""),
    Defect.NULL: _last("null"),
    Defect.NAN: _last("nan"),
    Defect.OVERFLOW: _last("1e999"),
    Defect.OUT_OF_RANGE: _last(1e6),
    Defect.BAD_TIMESTAMP: lambda cells: [cells[0], "yesterday", *cells[2:]],
    Defect.BAD_KEY: lambda cells: ["\x07", *cells[1:]],
    Defect.NOT_OBJECT: lambda cells: ["[" + str(cells[0]), cells[1], *("?" for _ in cells[2:])],
    Defect.FRAMED: lambda cells: [_FRAME.decode() + str(cells[0]), *cells[1:]],
    Defect.EMPTY: lambda cells: ["" for _ in cells],
}
