"""JSON pointers (RFC 6901) to what is wrong in a request's body."""

from collections.abc import Mapping
from urllib.parse import quote

from common.rows.parsing import decode
from common.rows.rejection import Fault, Reason

# What may stand in a URI's fragment as it is (RFC 3986, section 3.5), "/" apart.
_SAFE = "!$&'()*+,;=:@-._~?"


def pointer(*parts: object) -> str:
    """Return the pointer to the value that is reached by these names and positions, in order."""
    return "#" + "".join(f"/{_escaped(str(part))}" for part in parts)


def row_pointer(index: int, fault: Fault, payload: bytes) -> str:
    """Return the pointer to the field that a fault of the row at `index` names."""
    if not fault.field:
        return pointer("rows", index)
    if fault.reason is Reason.UNKNOWN_FIELD:
        return pointer("rows", index, *_there(fault.field, payload))
    return pointer("rows", index, *fault.field.split("."))


def _there(path: str, payload: bytes) -> list[str]:
    """Find an unknown field in the row itself: its name may have dots of its own."""
    record: object = decode(payload)
    names: list[str] = []
    while isinstance(record, Mapping):
        if path in record:
            return [*names, path]
        outer = [name for name in record if path.startswith(f"{name}.")]
        if not outer:
            break
        name = max(outer, key=len)
        names.append(name)
        record, path = record[name], path.removeprefix(f"{name}.")
    return names  # a name too long to be told whole: its parent


def _escaped(part: str) -> str:
    text = part.replace("~", "~0").replace("/", "~1")
    # A lone surrogate has no bytes in UTF-8; what it is replaced by points nowhere, harmlessly.
    return quote(text, safe=_SAFE, errors="replace")
