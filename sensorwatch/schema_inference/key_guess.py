"""Guess from its values and its name whether a column names the sensor."""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

import numpy as np

_KEY_NAME = re.compile(
    r"(sensor|device|machine|asset|station|tag|host|unit|node|mote|meter|pump|engine|channel|thing"
    r"|equipment|site|line|plant|serial|mac)?(id|no|nr|num|number|name|key|uid|uuid|eui)?"
)
_WEAK_NAMES = frozenset(
    {"id", "key", "name", "no", "nr", "num", "number", "uid", "uuid", "unit", "line"}
)
_CALENDAR_NAME = re.compile(
    r"(hour|minute|second|day|weekday|week|month|quarter|year|season|shift|stunde|tag|monat|jahr)"
    r"(of(the)?(day|week|month|year|hour))?"
)
_STATE_WORDS = frozenset(
    {"on", "off", "open", "closed", "auto", "manual", "enabled", "disabled", "ok", "nok", "good"}
    | {"bad", "error", "fault", "alarm", "normal", "warning", "running", "stopped", "idle", "busy"}
    | {"true", "false", "yes", "no", "high", "low", "up", "down", "active", "inactive", "standby"}
)
_WHOLE_NUMBER = re.compile(r"-?\d{1,18}(?:\.0+)?")
_MAX_SENSORS_SHARE = 0.5
_MIN_CYCLES = 3
_MAX_ID_CHARACTERS = 200
_MIN_LEVEL_SHARE = 0.9
_MAX_LEVELS = 50
_MIN_STEP_SHARE = 0.7
_MAX_LEVEL_ROWS = 2_000
_MAX_LEVEL_COLUMNS = 20


def suggests_key(name: str) -> bool:
    """Return whether a column's name is one that ids of sensors usually have."""
    last_part = plain_name(name.rpartition(".")[2])
    return bool(last_part) and _KEY_NAME.fullmatch(last_part) is not None


def is_key(
    name: str,
    cells: Sequence[str],
    times: Sequence[str],
    *,
    are_numbers: bool,
    signals: Sequence[Sequence[float]] = (),
) -> bool:
    """Return whether a column names the sensor of each row.

    `times`: the cells of the time. `are_numbers`: whether the cells are numbers. `signals`: the
    numbers of the other columns, NaN if a cell has none.
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
        return not are_numbers or plain_name(name) not in _WEAK_NAMES or len(distinct) > 1
    if not 2 <= len(distinct) <= _MAX_SENSORS_SHARE * len(texts):
        return False
    if separates_equal_times(cells, times):
        return True
    if _CALENDAR_NAME.fullmatch(plain_name(name)) or _are_states(distinct):
        return False
    if _is_cycle(texts, min_period=3 if are_numbers else 2):
        return True
    is_unordered = not are_numbers or _jumps(texts)
    return (
        len(distinct) <= _MAX_LEVELS
        and is_unordered
        and changes_often(texts)
        and _levels_differ(texts, signals)
    )


def need_each_other(columns: Sequence[Sequence[str]], times: Sequence[str]) -> bool:
    """Return whether it takes all columns together to distinguish the rows of the same time."""
    joined_cells = ["\0".join(cells) for cells in zip(*columns, strict=True)]
    return separates_equal_times(joined_cells, times) and not any(
        separates_equal_times(cells, times) for cells in columns
    )


def is_message_id(cells: Sequence[str]) -> bool:
    """Return whether the value differs in nearly every row, like the id of a message."""
    return len(cells) > 3 and len(set(cells)) > 0.9 * len(cells)


def separates_equal_times(cells: Sequence[str], times: Sequence[str]) -> bool:
    """Return whether rows of the same time nearly always have different values."""
    repeated_times = len(times) - len(set(times))
    if repeated_times < 0.3 * len(times):
        return False
    time_value_counts = Counter(zip(times, cells, strict=True))
    repeated_pairs = sum(count - 1 for count in time_value_counts.values())
    return repeated_pairs < 0.05 * repeated_times


def may_be_key(cells: Sequence[str]) -> bool:
    """Return whether texts change from row to row as ids do, but could also be states."""
    distinct_texts = set(cells)
    is_repeated = 2 <= len(distinct_texts) <= _MAX_SENSORS_SHARE * len(cells)
    return (
        is_repeated
        and "" not in distinct_texts
        and changes_often(cells)
        and not _are_states(distinct_texts)
    )


def changes_often(texts: Sequence[str]) -> bool:
    """Return whether many rows have a different value from the row before."""
    changes = sum(text != previous_text for previous_text, text in pairwise(texts))
    return changes > 0.3 * len(texts)


def _are_states(texts: Iterable[str]) -> bool:
    return all(text.casefold() in _STATE_WORDS for text in texts)


def _is_cycle(texts: Sequence[str], *, min_period: int) -> bool:
    """Return whether the values repeat in the same order."""
    period = len(set(texts))
    if period < min_period or len(texts) < _MIN_CYCLES * period:
        return False
    repeats = sum(
        text == previous_text for text, previous_text in zip(texts[period:], texts, strict=False)
    )
    return repeats > 0.95 * (len(texts) - period)


def _jumps(texts: Sequence[str]) -> bool:
    """Return whether neighbouring numbers differ as much as randomly chosen ones, as ids do."""
    values = np.asarray([float(text) for text in texts[:_MAX_LEVEL_ROWS]])
    usual_step = np.abs(np.diff(values)).mean()
    random_step = np.abs(np.subtract.outer(values[::7], values[::7])).mean()
    return bool(usual_step > _MIN_STEP_SHARE * random_step)


def _levels_differ(texts: Sequence[str], signals: Sequence[Sequence[float]]) -> bool:
    """Return whether the mean per id explains most of the variance of a signal."""
    _, id_indices = np.unique(np.asarray(texts[:_MAX_LEVEL_ROWS]), return_inverse=True)
    for signal in signals[:_MAX_LEVEL_COLUMNS]:
        values = np.asarray(signal[:_MAX_LEVEL_ROWS])
        is_valid = np.isfinite(values) & (np.abs(values) < 1e100)
        values, valid_id_indices = values[is_valid], id_indices[is_valid]
        if len(values) < 20 or not values.var() > 0:
            continue
        counts = np.bincount(valid_id_indices)
        means = np.bincount(valid_id_indices, values) / np.maximum(counts, 1)
        if (means[valid_id_indices] - values.mean()).var() > _MIN_LEVEL_SHARE * values.var():
            return True
    return False


def plain_name(name: str) -> str:
    """Return the letters and digits of a column's name, in lower case."""
    return re.sub(r"[^a-z0-9]", "", name.lower())
