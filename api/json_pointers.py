"""JSON pointers (RFC 6901) to the faults in a request body."""

from collections.abc import Iterator, Mapping, Sequence
from urllib.parse import quote

from sensorwatch.common.rows.fields import make_lookup
from sensorwatch.common.rows.paths import column_name, keys_of
from sensorwatch.common.rows.rejection import Fault, Reason, Rejection
from sensorwatch.common.rows.request_items import PAYLOAD_FIELD
from sensorwatch.common.rows.row_arrays import row_paths
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.strict_parsing import decode_any
from sensorwatch.common.rows.values import ABSENT, NO_OBJECT

# Characters that a URI fragment may contain unescaped (RFC 3986, section 3.5), except "/".
_UNESCAPED_CHARACTERS = "!$&'()*+,;=:@-._~?"

_Path = tuple[str | int, ...]


def pointer(*parts: object) -> str:
    """Return the JSON pointer to a value. `parts`: the names and positions of its path."""
    return "#" + "".join(f"/{_escape(str(part))}" for part in parts)


def fault_pointers(
    rejections: Sequence[Rejection], item: bytes, schema: Schema, *item_path: str | int
) -> Iterator[list[str]]:
    """Yield the JSON pointers to the faults of each bad row of one item.

    `item`: the JSON of the item. `item_path`: the path of the item in the body, as names and
    positions for `pointer`.
    """
    if not (schema.rows or schema.source_names or _names_nested_field(rejections)):
        for rejection in rejections:
            yield [
                pointer(*item_path, *(keys_of(fault.field) if fault.field else ()))
                for fault in rejection.faults
            ]
        return
    content = decode_any(item)
    payload_path = (PAYLOAD_FIELD,) if _has_payload_field(content, schema) else ()
    paths = row_paths(_value_at(content, payload_path), schema.rows) if schema.rows else []
    for rejection in rejections:
        row_path = paths[rejection.rows[0]] if rejection.rows else ()
        objects = _objects_on(content, (*payload_path, *row_path))
        yield [pointer(*item_path, *_path_of_fault(fault, objects)) for fault in rejection.faults]


def _names_nested_field(rejections: Sequence[Rejection]) -> bool:
    return any("." in fault.field for rejection in rejections for fault in rejection.faults)


def _has_payload_field(content: object, schema: Schema) -> bool:
    return bool(schema.source_names) and isinstance(content, Mapping) and PAYLOAD_FIELD in content


def _value_at(content: object, path: _Path) -> object:
    for part in path:
        content = content[part]  # type: ignore[index]  # the path was found in the content
    return content


def _objects_on(content: object, path: _Path) -> list[tuple[_Path, object]]:
    """Return path and value of the row, then of each object around it, outwards."""
    values: list[tuple[_Path, object]] = [((), content)]
    for end, part in enumerate(path, start=1):
        content = content[part]  # type: ignore[index]  # the path was found in the content
        if isinstance(content, Mapping) or end == len(path):
            values.append((path[:end], content))
    return values[::-1]


def _path_of_fault(fault: Fault, objects: Sequence[tuple[_Path, object]]) -> _Path:
    """Return the path of a fault; an absent field belongs to the row.

    A field from outside the payload belongs to the item, and a field that the row inherits belongs
    to the object that contains it.
    """
    row_path, row = objects[0]
    if not fault.field:
        return row_path
    if fault.field.startswith("@"):
        item_path, _ = objects[-1]
        return (*item_path, fault.field)
    if fault.reason is Reason.UNKNOWN_FIELD and isinstance(row, Mapping):
        return (*row_path, *_path_in_record(fault.field.split("."), row))
    look_up = make_lookup(fault.field)
    for path, value in objects:
        if isinstance(value, Mapping) and look_up(value) not in (ABSENT, NO_OBJECT):
            name = column_name(fault.field)
            return (*path, *([name] if name in value else keys_of(fault.field)))
    return (*row_path, *keys_of(fault.field))


def _path_in_record(parts: list[str], record: object) -> list[str]:
    """Return the path of an unknown field as a list of names. A name may contain dots."""
    names: list[str] = []
    while parts and isinstance(record, Mapping):
        for part_count in range(len(parts), 0, -1):
            name = ".".join(parts[:part_count])
            if name in record:
                break
        else:
            break
        names.append(name)
        parts, record = parts[part_count:], record[name]
    return names  # if the last name was truncated, this is the path of the parent object


def _escape(part: str) -> str:
    text = part.replace("~", "~0").replace("/", "~1")
    # UTF-8 cannot encode a lone surrogate. A "?" replaces it, so the pointer finds no field.
    return quote(text, safe=_UNESCAPED_CHARACTERS, errors="replace")
