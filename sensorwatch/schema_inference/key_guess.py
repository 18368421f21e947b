"""Guess which column names the sensor, from how its values behave, and from its name."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

_KEY_NAME = re.compile(
    r"(sensor|device|machine|asset|station|tag|host|unit|node|mote|meter|pump|engine|channel|thing"
    r"|equipment|site|line|plant|serial|mac)?(id|no|nr|num|number|name|key|uid|uuid|eui)?"
)
_WEAK_NAMES = frozenset(
    {"id", "key", "name", "no", "nr", "num", "number", "uid", "uuid", "unit", "line"}
)
_WHOLE_NUMBER = re.compile(r"-?\d+(?:\.0+)?")
_MAX_SENSORS_SHARE = 0.5
_MIN_CYCLES = 3
_MAX_ID_CHARACTERS = 200


def suggests_key(name: str) -> bool:
    """Return whether a column's name is one that ids of sensors usually have."""
    plain_name = re.sub(r"[^a-z0-9]", "", name.lower().rpartition(".")[2])
    return bool(plain_name) and _KEY_NAME.fullmatch(plain_name) is not None


def is_key(name: str, cells: Sequence[str], times: Sequence[str], *, are_numbers: bool) -> bool:
    """Return whether a column names the sensor of each row.

    `times`: the cells of the time. `are_numbers`: whether the cells are numbers.
    """
    texts = [cell for cell in cells if cell]
    distinct = set(texts)
    if len(texts) < len(cells) or max(map(len, texts), default=0) > _MAX_ID_CHARACTERS:
        return False
    if are_numbers and not all(_WHOLE_NUMBER.fullmatch(text) for text in distinct):
        return False
    if is_message_id(cells):
        return False
    if suggests_key(name):
        plain_name = re.sub(r"[^a-z0-9]", "", name.lower())
        return not are_numbers or plain_name not in _WEAK_NAMES or len(distinct) > 1
    if len(distinct) < 2 or len(distinct) > _MAX_SENSORS_SHARE * len(texts):
        return False
    if _separates_equal_times(cells, times):
        return True
    return _is_cycle(texts) if are_numbers else _changes_often(texts)


def need_each_other(columns: Sequence[Sequence[str]], times: Sequence[str]) -> bool:
    """Return whether only all columns together separate the rows of the same time."""
    joined_cells = ["\0".join(cells) for cells in zip(*columns, strict=True)]
    return _separates_equal_times(joined_cells, times) and not any(
        _separates_equal_times(cells, times) for cells in columns
    )


def is_message_id(cells: Sequence[str]) -> bool:
    """Return whether nearly every row has another value, as an id of a message has."""
    return len(cells) > 3 and len(set(cells)) > 0.9 * len(cells)


def _separates_equal_times(cells: Sequence[str], times: Sequence[str]) -> bool:
    """Return whether rows of the same time nearly always have different values."""
    repeated_times = len(times) - len(set(times))
    if repeated_times < 0.3 * len(times):
        return False
    pairs = Counter(zip(times, cells, strict=True))
    repeated_pairs = sum(count - 1 for count in pairs.values())
    return repeated_pairs < 0.05 * repeated_times


def _is_cycle(texts: Sequence[str]) -> bool:
    """Return whether the values take turns in the same order again and again."""
    period = len(set(texts))
    if period < 2 or len(texts) < _MIN_CYCLES * period:
        return False
    repeats = sum(text == earlier for text, earlier in zip(texts[period:], texts, strict=False))
    return period > 2 and repeats > 0.95 * (len(texts) - period)


def _changes_often(texts: Sequence[str]) -> bool:
    changes = sum(text != earlier for earlier, text in pairwise(texts))
    return changes > 0.3 * len(texts)
