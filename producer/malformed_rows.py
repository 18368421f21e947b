"""Malformed rows with one defect each, as JSON and as CSV cells."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from sensorwatch.common.simulation.faults import Defect

# The prefix that Schema Registry clients put before a value: a zero byte and a schema id.
_SCHEMA_REGISTRY_PREFIX = b"\x00\x00\x00\x00\x07"
_AVRO_BYTES = b"\x14sensor-000\x00\x00\xc0\x3f"
# JSON cannot represent infinity, so this number above the float64 range is used instead.
_TOO_LARGE_NUMBER = msgspec.Raw(b"1e999")


def broken_json(fields: Mapping[str, Any], defect: Defect) -> bytes:
    """Return a row as JSON with a defect. If the defect is in a value, it is in the last field."""
    encoded_row = msgspec.json.encode(fields)
    last_field = list(fields)[-1]
    match defect:
        case Defect.EMPTY:
            return b""
        case Defect.FRAMED:
            return _SCHEMA_REGISTRY_PREFIX + _AVRO_BYTES
        case Defect.TRUNCATED:
            return encoded_row[: len(encoded_row) // 2]
        case Defect.NOT_OBJECT:
            return msgspec.json.encode(list(fields.values()))
        case Defect.NAN:  # not valid JSON, but Python's json module writes it
            number = msgspec.json.encode(fields[last_field])
            return encoded_row.removesuffix(number + b"}") + b"NaN}"
        case Defect.MISSING_FIELD:
            return msgspec.json.encode(
                {name: fields[name] for name in fields if name != last_field}
            )
    return msgspec.json.encode({**fields, **_replacement_fields(last_field, defect)})


def _replacement_fields(last_field: str, defect: Defect) -> Mapping[str, object]:
    replacements: dict[Defect, Mapping[str, object]] = {
        Defect.TEXT: {last_field: "n/a"},
        Defect.NULL: {last_field: None},
        Defect.OVERFLOW: {last_field: _TOO_LARGE_NUMBER},
        Defect.OUT_OF_RANGE: {last_field: 1e6},
        Defect.BAD_TIMESTAMP: {"timestamp": "yesterday"},
        Defect.BAD_KEY: {"sensor_id": ""},
    }
    return replacements[defect]


def broken_cells(cells: list[object], defect: Defect) -> list[object]:
    """Return the cells of a CSV line (sensor, time, signals) with a defect.

    The number of cells does not change.
    """
    return _BREAK_CELLS_BY_DEFECT[defect](cells)


def _replace_last_cell(text: object) -> Callable[[list[object]], list[object]]:
    return lambda cells: [*cells[:-1], text]


_BREAK_CELLS_BY_DEFECT: dict[Defect, Callable[[list[object]], list[object]]] = {
    Defect.TRUNCATED: lambda cells: [*cells[:2], *([""] * (len(cells) - 2))],
    Defect.TEXT: _replace_last_cell("n/a"),
    Defect.MISSING_FIELD: _replace_last_cell(""),
    Defect.NULL: _replace_last_cell("null"),
    Defect.NAN: _replace_last_cell("nan"),
    Defect.OVERFLOW: _replace_last_cell("1e999"),
    Defect.OUT_OF_RANGE: _replace_last_cell(1e6),
    Defect.BAD_TIMESTAMP: lambda cells: [cells[0], "yesterday", *cells[2:]],
    Defect.BAD_KEY: lambda cells: ["\x07", *cells[1:]],
    Defect.NOT_OBJECT: lambda cells: ["[" + str(cells[0]), cells[1], *("?" for _ in cells[2:])],
    Defect.FRAMED: lambda cells: [_SCHEMA_REGISTRY_PREFIX.decode() + str(cells[0]), *cells[1:]],
    Defect.EMPTY: lambda cells: ["" for _ in cells],
}
