"""The rows of a JSON sample as a table; nested objects become paths."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.paths import escape_key
from sensorwatch.common.rows.record_declarations import PayloadFormat
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.row_arrays import ElementFields, outer_array_name, unpack_rows
from sensorwatch.common.rows.senml import resolve_senml
from sensorwatch.common.rows.strict_parsing import Fields, decode_any, fields_or_fault
from sensorwatch.schema_inference.array_rows import RowArray, find_row_array
from sensorwatch.schema_inference.table import MAX_CELLS, Table

_MAX_DEPTH = 8

_Keys = tuple[str, ...]


def read_json_table(payloads: Sequence[bytes], *, form: str) -> Table:
    """Return the table of JSON payloads. Raises DataError if no payload has rows."""
    contents = [decode_any(payload) for payload in payloads]
    array = find_row_array(contents)
    decoded_rows = [row for content in contents for row in _rows_of(content, array)]
    records = [record for record in decoded_rows if not isinstance(record, Fault)]
    if not records:
        faults = [record for record in decoded_rows if isinstance(record, Fault)]
        if any(isinstance(content, list) for content in contents) and faults:
            raise DataError(
                f"the rows are arrays of values without names, {faults[0].detail}: write each row "
                "as an object with the names of its values, or write the table as CSV with the "
                "names in the first line"
            )
        raise DataError(f"no row is a JSON object: {faults[0].detail if faults else 'it is empty'}")
    flatten = _Flattening(array)
    position_of_keys = dict[_Keys, int]()
    found_names = set[str]()
    flat_records: list[dict[_Keys, object]] = []
    for record in records:
        flat_record = flatten(record)
        # A key "a.b" and a key "b" in an object "a" have the same name; the first one is used.
        new_keys = [
            keys
            for keys in flat_record
            if keys not in position_of_keys and ".".join(keys) not in found_names
        ]
        if flat_records and (len(position_of_keys) + len(new_keys)) * len(flat_records) > MAX_CELLS:
            break
        for keys in new_keys:
            position_of_keys[keys] = len(position_of_keys)
            found_names.add(".".join(keys))
        flat_records.append(flat_record)
    texts = frozenset(
        ".".join(keys)
        for record in flat_records
        for keys, value in record.items()
        if isinstance(value, str)
    )
    broken_count = len(decoded_rows) - len(records)
    return Table(
        names=tuple(".".join(keys) for keys in position_of_keys),
        paths=tuple(".".join(map(escape_key, keys)) for keys in position_of_keys),
        rows=tuple(_row(record, position_of_keys) for record in flat_records),
        form=form,
        text_columns=texts,
        notes=(f"{broken_count} of {len(decoded_rows)} rows are not JSON objects",)
        if broken_count
        else (),
        array=array,
        questions=tuple(
            f"the rows are the elements of {array.path}; {other} contains objects too: change rows "
            "in the schema if they are the rows"
            for other in array.others
        ),
    )


def _row(record: Mapping[_Keys, object], position_of_keys: Mapping[_Keys, int]) -> tuple[str, ...]:
    cells = [""] * len(position_of_keys)
    for keys, value in record.items():
        if keys in position_of_keys:
            cells[position_of_keys[keys]] = _cell(value)
    return tuple(cells)


def _rows_of(content: object, array: RowArray) -> Sequence[Fields | Fault]:
    """Return the rows of a decoded record, with all fields around them."""
    if isinstance(content, list) and array.payload is PayloadFormat.SENML:
        content = resolve_senml(content)
    rows = None
    if array.path and not isinstance(content, Fault):
        rows = unpack_rows(content, array.path)
    return rows if isinstance(rows, list) else [fields_or_fault(content if rows is None else rows)]


class _Flattening:
    """Flattens rows that are elements of an array, and adds the fields of the object around it."""

    def __init__(self, array: RowArray) -> None:
        self._array_name = outer_array_name(array.path)
        self._last_outer: tuple[Fields, dict[_Keys, object]] | None = None
        """The fields around the last row, and the same fields flattened."""

    def __call__(self, fields: Fields) -> dict[_Keys, object]:
        """Return the value of each path of a row."""
        row_values = dict(_flatten(fields))
        return (
            {**self._outer_of(fields), **row_values}
            if isinstance(fields, ElementFields)
            else row_values
        )

    def _outer_of(self, fields: ElementFields) -> dict[_Keys, object]:
        if self._last_outer is None or self._last_outer[0] is not fields.outer:
            outer_values = self(fields.outer)
            values_around_array = {
                keys: value
                for keys, value in outer_values.items()
                if not isinstance(value, list) and ".".join(keys) != self._array_name
            }
            self._last_outer = fields.outer, values_around_array
        return self._last_outer[1]


def _flatten(record: Mapping[str, Any], keys: _Keys = ()) -> Iterator[tuple[_Keys, object]]:
    for key, value in record.items():
        if isinstance(value, Mapping) and len(keys) < _MAX_DEPTH:
            yield from _flatten(value, (*keys, key))
        else:
            yield (*keys, key), value


def _cell(value: object) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case bool():
            return "true" if value else "false"
        case float() if not math.isfinite(value):
            return str(value)
        case int() | float():
            return repr(value)
    return json.dumps(value, ensure_ascii=False)
