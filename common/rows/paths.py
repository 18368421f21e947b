r"""Paths of fields: the keys that lead to a value in nested JSON, and the name of a column.

A dot in a path separates two keys. `\.` is a dot that belongs to a key, and `\\` is a backslash.
A path with an unescaped dot is first looked up as one key, because field names often contain dots.
A path that begins with `@` is one name with all of its dots, see `sources.py`.
"""

import re
from collections.abc import Iterable, Sequence

_ESCAPED_CHARACTER = re.compile(r"\\([.\\])")
_KEY = re.compile(r"(?:[^.\\]|\\[.\\]|\\(?![.\\]))+")


def keys_of(path: str) -> tuple[str, ...]:
    r"""Return the keys of a path.

    >>> keys_of("pump.oil"), keys_of(r"PM2\.5")
    (('pump', 'oil'), ('PM2.5',))
    """
    if path.startswith("@"):
        return (path,)
    if "\\" not in path:
        return tuple(path.split("."))
    return tuple(column_name(key) for key in _KEY.findall(path))


def column_name(path: str) -> str:
    r"""Return the name of the column that contains the field in a table.

    >>> column_name("pump.oil"), column_name(r"PM2\.5")
    ('pump.oil', 'PM2.5')
    """
    return _ESCAPED_CHARACTER.sub(r"\1", path)


def escape_key(key: str) -> str:
    r"""Return the path of the one key `key`.

    >>> escape_key("PM2.5")
    'PM2\\.5'
    """
    return key.replace("\\", "\\\\").replace(".", "\\.")


def parent_names(path: str) -> list[str]:
    """Return the names of the objects around a field, the outermost object first."""
    keys = keys_of(path)
    return [".".join(keys[:end]) for end in range(1, len(keys))]


def nested_document(paths: Iterable[str], values: Iterable[object]) -> dict[str, object]:
    """Return a document that contains each value at its path, in nested objects."""
    document: dict[str, object] = {}
    for path, value in zip(paths, values, strict=True):
        set_value(document, keys_of(path), value)
    return document


def set_value(record: dict[str, object], keys: Sequence[str], value: object) -> None:
    """Set the value of a path's keys in nested objects, and create missing objects."""
    *parent_keys, last_key = keys
    for key in parent_keys:
        nested_record = record.setdefault(key, {})
        assert isinstance(nested_record, dict), "the schema refuses a field inside another field"
        record = nested_record
    record[last_key] = value
