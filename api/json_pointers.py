"""JSON pointers (RFC 6901) to the faults in a request body."""

from collections.abc import Mapping
from urllib.parse import quote

from sensorwatch.common.rows.rejection import Reason, Rejection
from sensorwatch.common.rows.strict_parsing import decode

# What may stand in a URI's fragment as it is (RFC 3986, section 3.5), "/" apart.
_SAFE = "!$&'()*+,;=:@-._~?"


def pointer(*parts: object) -> str:
    """Return the pointer to a value, from the names and positions of its path."""
    return "#" + "".join(f"/{_escaped(str(part))}" for part in parts)


def fault_pointers(rejection: Rejection, payload: bytes, *place: object) -> list[str]:
    """Return the pointer of each fault of a row with the bytes `payload`.

    `place`: the path of the row in the body, as names and positions for `pointer`.
    """
    record: object = None
    pointers = []
    for fault in rejection.faults:
        parts = fault.field.split(".") if fault.field else []
        if fault.reason is Reason.UNKNOWN_FIELD:
            record = decode(payload) if record is None else record
            parts = _path_in_record(parts, record)
        pointers.append(pointer(*place, *parts))
    return pointers


def _path_in_record(parts: list[str], record: object) -> list[str]:
    """Return the path of an unknown field as names; names in the row may contain dots."""
    names: list[str] = []
    while parts and isinstance(record, Mapping):
        for end in range(len(parts), 0, -1):
            name = ".".join(parts[:end])
            if name in record:
                break
        else:
            break
        names.append(name)
        parts, record = parts[end:], record[name]
    return names  # the parent, if a truncated name does not match


def _escaped(part: str) -> str:
    text = part.replace("~", "~0").replace("/", "~1")
    # A lone surrogate has no bytes in UTF-8; what it is replaced by points nowhere, harmlessly.
    return quote(text, safe=_SAFE, errors="replace")
