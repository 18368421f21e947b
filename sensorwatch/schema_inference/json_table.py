"""The rows of a JSON sample as a table; nested objects become paths."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sensorwatch.common.errors import DataError
from sensorwatch.common.rows.paths import escape_key
from sensorwatch.common.rows.rejection import Fault
from sensorwatch.common.rows.strict_parsing import decode
from sensorwatch.schema_inference.table import MAX_CELLS, Table

_MAX_DEPTH = 8

_Keys = tuple[str, ...]


def read_json_table(payloads: Sequence[bytes], *, form: str) -> Table:
    """Return the table of JSON payloads. Raises DataError if no payload is an object."""
    decoded = [decode(payload) for payload in payloads]
    records = [record for record in decoded if not isinstance(record, Fault)]
    if not records:
        faults = [record for record in decoded if isinstance(record, Fault)]
        raise DataError(f"no row is a JSON object: {faults[0].detail if faults else 'it is empty'}")
    refuse_several_rows_in_one_record(records[0])
    position_of_keys = dict[_Keys, int]()
    found_names = set[str]()
    flat_records: list[dict[_Keys, object]] = []
    for record in records:
        flat_record = dict(_flatten(record))
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
    broken = len(decoded) - len(records)
    return Table(
        names=tuple(".".join(keys) for keys in position_of_keys),
        paths=tuple(".".join(map(escape_key, keys)) for keys in position_of_keys),
        rows=tuple(_row(record, position_of_keys) for record in flat_records),
        form=form,
        text_columns=texts,
        notes=(f"{broken} of {len(decoded)} rows are not JSON objects",) if broken else (),
    )


def _row(record: Mapping[_Keys, object], position_of_keys: Mapping[_Keys, int]) -> tuple[str, ...]:
    cells = [""] * len(position_of_keys)
    for keys, value in record.items():
        if keys in position_of_keys:
            cells[position_of_keys[keys]] = _cell(value)
    return tuple(cells)


def refuse_several_rows_in_one_record(record: object) -> None:
    """Raise DataError, which names the format, if a record contains several rows."""
    name = _several_rows_format(record)
    if name is not None:
        raise DataError(
            f"this is {name}: one record contains several rows or one value per name. Such records "
            "cannot be read yet; send one JSON object per row, with one field per signal"
        )


def _several_rows_format(record: Any) -> str | None:
    if isinstance(record, list) and record and isinstance(record[0], dict):
        return "SenML (RFC 8428)" if {"n", "bn"} & record[0].keys() else None
    if not isinstance(record, Mapping):
        return None
    lists = [
        name
        for name, value in record.items()
        if isinstance(value, list) and value and isinstance(value[0], dict)
    ]
    metrics = record.get("metrics")
    if isinstance(metrics, list) and metrics and isinstance(metrics[0], dict):
        if "fields" in metrics[0]:
            return "a Telegraf batch"
        if {"name", "value"} <= metrics[0].keys():
            return "a Sparkplug payload"
    return f"an object with a list of rows in {lists[0]!r}" if lists else None


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
