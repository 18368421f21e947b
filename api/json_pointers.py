"""JSON pointers (RFC 6901) to the faults in a request body."""

from collections.abc import Mapping
from urllib.parse import quote

from sensorwatch.common.rows.paths import column_name, keys_of
from sensorwatch.common.rows.rejection import Reason, Rejection
from sensorwatch.common.rows.strict_parsing import decode

# Characters that a URI fragment may contain unescaped (RFC 3986, section 3.5), except "/".
_UNESCAPED_CHARACTERS = "!$&'()*+,;=:@-._~?"


def pointer(*parts: object) -> str:
    """Return the JSON pointer to a value. `parts`: the names and positions of its path."""
    return "#" + "".join(f"/{_escape(str(part))}" for part in parts)


def fault_pointers(rejection: Rejection, payload: bytes, *row_path: object) -> list[str]:
    """Return the JSON pointer to each fault of a row. `payload`: the bytes of the row.

    `row_path`: the path of the row in the body, as names and positions for `pointer`.
    """
    record: object = None
    pointers = []
    for fault in rejection.faults:
        parts = list(keys_of(fault.field)) if fault.field else []
        if "." in fault.field:  # a name in the record may contain dots
            record = decode(payload) if record is None else record
            name = column_name(fault.field)
            if fault.reason is Reason.UNKNOWN_FIELD:
                parts = _path_in_record(fault.field.split("."), record)
            elif isinstance(record, Mapping) and name in record:
                parts = [name]
        pointers.append(pointer(*row_path, *parts))
    return pointers


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
