"""Find the array that contains the rows of JSON records."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from sensorwatch.common.rows.paths import escape_key
from sensorwatch.common.rows.record_declarations import PayloadFormat
from sensorwatch.common.rows.row_arrays import ARRAY_MARK

_MAX_RECORDS = 200
_MAX_DEPTH = 3
_MIN_SHARE = 0.5
_SENML_NAMES = frozenset({"n", "bn"})
_SENML_VALUES = frozenset({"v", "vs", "vb", "vd", "s", "bv"})


class RowArray(NamedTuple):
    """The array with the rows of a record, as a schema declares it."""

    path: str = ""
    """Empty if each record is one row."""
    payload: PayloadFormat = PayloadFormat.JSON
    others: tuple[str, ...] = ()
    """The paths of other arrays of objects."""


NO_ARRAY = RowArray()


def find_row_array(contents: Sequence[object]) -> RowArray:
    """Return the array that contains the rows of decoded records.

    This is an array of objects that most records have. If there are several such arrays, it is the
    one with the most elements. If its elements contain such an array in turn, the inner array is
    returned.
    """
    sample = [content for content in contents[:_MAX_RECORDS] if isinstance(content, Mapping | list)]
    root_elements = [
        element for content in sample if isinstance(content, list) for element in content
    ]
    if root_elements and sum(isinstance(content, list) for content in sample) > (
        _MIN_SHARE * len(sample)
    ):
        if any(map(_is_senml, root_elements)):
            return RowArray(ARRAY_MARK, PayloadFormat.SENML)
        inner_array = find_row_array(root_elements)
        separator = "." if inner_array.path else ""
        return RowArray(f"{ARRAY_MARK}{separator}{inner_array.path}", others=inner_array.others)
    return _array_in_objects([content for content in sample if isinstance(content, Mapping)])


def _array_in_objects(records: Sequence[Mapping[str, object]]) -> RowArray:
    record_counts, elements_by_path = Counter[str](), dict[str, list[object]]()
    for record in records:
        for path, elements in _arrays_of_objects(record):
            record_counts[path] += 1
            elements_by_path.setdefault(path, []).extend(elements)
    candidates = [
        path for path, count in record_counts.items() if count > _MIN_SHARE * len(records)
    ]
    if not candidates:
        return NO_ARRAY
    path, *other_paths = sorted(candidates, key=lambda path: -len(elements_by_path[path]))
    inner_array = find_row_array(elements_by_path[path])
    inner_path = f".{inner_array.path}" if inner_array.path else ""
    return RowArray(f"{path}{inner_path}", others=tuple(other_paths))


def _arrays_of_objects(
    record: Mapping[str, object], path: str = "", depth: int = 0
) -> Iterator[tuple[str, list[object]]]:
    for key, value in record.items():
        field = f"{path}{escape_key(key)}"
        if isinstance(value, list) and value and isinstance(value[0], Mapping):
            yield field + ARRAY_MARK, value
        elif isinstance(value, Mapping) and depth < _MAX_DEPTH:
            yield from _arrays_of_objects(value, field + ".", depth + 1)


def _is_senml(element: object) -> bool:
    if not isinstance(element, Mapping):
        return False
    return bool(_SENML_NAMES & element.keys()) and bool(_SENML_VALUES & element.keys())
