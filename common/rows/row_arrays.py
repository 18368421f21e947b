"""Records that contain an array of rows: each element of the array becomes the fields of a row."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from types import MappingProxyType
from typing import TypeVar, overload

from sensorwatch.common.rows.paths import keys_of
from sensorwatch.common.rows.rejection import Fault, Reason, make_fault, short_repr
from sensorwatch.common.rows.values import ABSENT

ARRAY_MARK = "[*]"
MAX_ROWS_PER_RECORD = 10_000
MAX_SHARED_CHARACTERS = 1_000

_T = TypeVar("_T")
_Fields = Mapping[str, object]
NO_FIELDS: _Fields = MappingProxyType({})


class ElementFields(Mapping[str, object]):
    """The fields of an array's element; a field that it lacks is looked up around the array.

    Only the element's own fields are iterated, so that the cost of a record with many elements and
    many other fields stays linear.
    """

    __slots__ = ("_element_fields", "outer")

    def __init__(self, element_fields: _Fields, outer: _Fields) -> None:
        self._element_fields = element_fields
        self.outer = outer
        """The fields around the array."""

    @overload
    def get(self, name: str, /) -> object | None: ...
    @overload
    def get(self, name: str, default: _T, /) -> object | _T: ...
    def get(self, name: str, default: object = None, /) -> object:
        """Return the value of a field, or `default` if the element and the record lack it.

        A field from outside the payload is never the element's own, see `sources.py`.
        """
        if name[:1] == "@" and name in self.outer:
            return self.outer[name]
        value = self._element_fields.get(name, ABSENT)
        return self.outer.get(name, default) if value is ABSENT else value

    def __getitem__(self, name: str) -> object:
        value = self.get(name, ABSENT)
        if value is ABSENT:
            raise KeyError(name)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._element_fields)

    def __len__(self) -> int:
        return len(self._element_fields)


def check_array_path(path: str) -> str:
    """Return `path`, or raise ValueError if it is not the path of an array of rows."""
    if path and not path.endswith(ARRAY_MARK):
        raise ValueError(
            f'found "{path}", wanted the path of an array, which ends with {ARRAY_MARK}, such as '
            f'"values{ARRAY_MARK}"; "{ARRAY_MARK}" alone if the payload itself is an array'
        )
    return path


def outer_array_name(path: str) -> str:
    """Return the name of the field that contains the outermost array; empty if it is the payload.

    >>> outer_array_name("d.values[*]"), outer_array_name("[*]")
    ('d.values', '')
    """
    return ".".join(keys_of_arrays(path)[0])


def unpack_rows(
    content: object,
    path: str,
    *,
    max_rows: int = MAX_ROWS_PER_RECORD,
    outer_fields: _Fields = NO_FIELDS,
    share: Callable[[_Fields], _Fields] = lambda fields: fields,
) -> list[_Fields | Fault] | Fault | None:
    """Return the rows in the array at `path` of a decoded record, in order.

    `content`: the fields of a record, or the elements of a payload that is an array.
    `outer_fields`: the fields from outside the payload, if the payload is an array. `share`:
    selects the fields around an array that its elements share; it is called once for each array.

    Returns None if the record has no such field: then the record itself is the row. Returns a fault
    of the whole record if the field is not an array, or if there are more than `max_rows` rows. An
    element that is an array has the fields "0", "1" and so on.

    >>> record = {"pump": "p1", "values": [{"flow": 2}, {"flow": 3, "pump": "p2"}, 7]}
    >>> first, second, third = unpack_rows(record, "values[*]")
    >>> (first.get("pump"), first.get("flow")), (second.get("pump"), second.get("flow"))
    (('p1', 2), ('p2', 3))
    >>> third.detail
    'found 7, wanted an object'
    """
    outermost_keys, *inner_arrays = keys_of_arrays(path)
    array = _find(content, outermost_keys)
    if array is ABSENT:
        return None
    if not isinstance(array, list):
        name = ".".join(outermost_keys)
        return make_fault(Reason.WRONG_TYPE, name, f"found {short_repr(array)}, wanted an array")
    fields_around = content if isinstance(content, Mapping) else outer_fields
    rows: list[_Fields | Fault] = []
    for row in _rows_in(array, inner_arrays, share(fields_around), share):
        if len(rows) == max_rows:
            detail = f"more than {max_rows} rows, which is the maximum for one record"
            return make_fault(Reason.TOO_LARGE, ".".join(outermost_keys), detail)
        rows.append(row)
    return rows


def _rows_in(
    array: Sequence[object],
    inner_arrays: Sequence[tuple[str, ...]],
    outer: _Fields,
    share: Callable[[_Fields], _Fields],
) -> Iterator[_Fields | Fault]:
    for element in array:
        if isinstance(element, Mapping):
            element_fields: _Fields = element
        elif isinstance(element, list):
            element_fields = {str(position): value for position, value in enumerate(element)}
        else:
            yield make_fault(
                Reason.NOT_OBJECT, "", f"found {short_repr(element)}, wanted an object"
            )
            continue
        fields = ElementFields(element_fields, outer)
        if not inner_arrays:
            yield fields
            continue
        keys, *arrays_inside = inner_arrays
        inner_array = _find(element, keys)
        if isinstance(inner_array, list):
            yield from _rows_in(inner_array, arrays_inside, share(fields), share)
        else:
            found_text = "no field" if inner_array is ABSENT else short_repr(inner_array)
            detail = f"found {found_text}, wanted an array"
            yield make_fault(Reason.WRONG_TYPE, ".".join(keys), detail)


def row_paths(content: object, path: str) -> list[tuple[str | int, ...]]:
    """Return names and positions that lead to each row that `unpack_rows` returns, in order.

    >>> row_paths({"d.values": [{"flow": 2}, {"flow": 3}]}, "d.values[*]")
    [('d.values', 0), ('d.values', 1)]
    """
    return [*_paths_in(content, keys_of_arrays(path), ())]


def _paths_in(
    content: object, arrays: Sequence[tuple[str, ...]], outer_path: tuple[str | int, ...]
) -> Iterator[tuple[str | int, ...]]:
    keys, *inner_arrays = arrays
    array = _find(content, keys)
    if not isinstance(array, list):
        yield outer_path  # the fault of an element without an inner array
        return
    name = ".".join(keys)
    array_keys = (name,) if isinstance(content, Mapping) and name in content else keys
    for position, element in enumerate(array):
        element_path = (*outer_path, *array_keys, position)
        if inner_arrays and isinstance(element, Mapping | list):
            yield from _paths_in(element, inner_arrays, element_path)
        else:
            yield element_path


def shared_value(value: object) -> object:
    """Return a value that many rows share, or a short substitute for it.

    Otherwise each row could cost time that depends on the size of the value. A long text is cut
    after MAX_SHARED_CHARACTERS, which is too long for a valid id, time or number.
    """
    if isinstance(value, str):
        return value[:MAX_SHARED_CHARACTERS]
    if value is None or isinstance(value, bool | int | float):
        return value
    return _Composite(short_repr(value))


class _Composite:
    """An object or array that many rows share; no field accepts it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def _find(content: object, keys: Sequence[str]) -> object:
    """Return the value at the keys, or ABSENT; the name with all keys is looked up first."""
    if len(keys) > 1 and isinstance(content, Mapping) and ".".join(keys) in content:
        return content[".".join(keys)]
    for key in keys:
        if not isinstance(content, Mapping):
            return ABSENT
        content = content.get(key, ABSENT)
    # Without a key, the payload is the array; a payload that is an object is a row itself.
    return ABSENT if not keys and isinstance(content, Mapping) else content


@lru_cache(maxsize=64)
def keys_of_arrays(path: str) -> list[tuple[str, ...]]:
    """Return the keys that lead to each array of a path, the outermost array first."""
    parts = path.removesuffix(ARRAY_MARK).split(ARRAY_MARK)
    return [keys_of(part.removeprefix(".")) if part.strip(".") else () for part in parts]
