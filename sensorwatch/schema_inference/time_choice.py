"""Choose the format and the zone of the time, and ask what the data does not decide."""

import re
from collections.abc import Sequence
from dataclasses import replace

from sensorwatch.common.rows.zones import load_zone
from sensorwatch.schema_inference.options import InferenceOptions
from sensorwatch.schema_inference.table import Table
from sensorwatch.schema_inference.time_format_guess import TimeGuess

# Links to other zones in the tz database, whose offset is constant.
_FIXED_ZONES = frozenset({"UTC", "GMT", "EST", "MST", "HST"})
_OFFSET_IN_NAME = re.compile(r"(?:GMT|UTC)([+-])(\d{1,2})(?::?00)?(?!\d)")
_MAX_OFFSET_HOURS = 14


def choose_zone(guess: TimeGuess, table: Table, names: Sequence[str]) -> str | None:
    """Return the zone of times without an offset, if the data names it.

    The zone is behind each time, in the name of a column of the time, or in a column that has the
    same zone in each row. `names`: the columns of the time.
    """
    if _is_zone(guess.zone_name):
        return guess.zone_name
    for name in names:
        if offset := _OFFSET_IN_NAME.search(name):
            return _fixed_zone(sign=offset[1], hours=int(offset[2]))
    for cells in table.columns:
        if cells and "/" in cells[0] and _is_zone(cells[0]) and len(set(cells)) == 1:
            return cells[0]
    return None


def _is_zone(name: str) -> bool:
    """Return whether a name is in the tz database, and is no abbreviation with several meanings."""
    if "/" not in name:
        return name in _FIXED_ZONES
    try:
        load_zone(name)
    except ValueError:
        return False
    return True


def _fixed_zone(*, sign: str, hours: int) -> str | None:
    """Return the zone with a constant offset; the signs of these zones are reversed."""
    if hours == 0:
        return "UTC"
    return f"Etc/GMT{'-' if sign == '+' else '+'}{hours}" if hours <= _MAX_OFFSET_HOURS else None


def choose_time_format(guess: TimeGuess, options: InferenceOptions) -> tuple[TimeGuess, list[str]]:
    """Return the time format, and questions that the user should decide."""
    if options.time_format is not None:
        guess = TimeGuess(options.time_format, naive=guess.naive)
    elif guess.alternative and options.is_day_first is not None:
        formats = (guess.format, guess.alternative)
        fitting = [text for text in formats if _is_day_first(text) == options.is_day_first]
        if len(fitting) == 1:
            guess = replace(guess, format=fitting[0], alternative="")
    elif guess.alternative and "%p" in guess.format and _is_day_first(guess.format):
        # The 12-hour clock is used where the month is written first.
        guess = replace(guess, format=guess.alternative, alternative=guess.format)
    questions = []
    if guess.alternative:
        questions.append(
            f"the times fit {guess.format!r}, which is used, and also {guess.alternative!r}; "
            "--day-first, --month-first or --time-format decides"
        )
    if guess.naive and options.zone is None:
        ending = f"end with {guess.zone_name!r}, but" if guess.zone_name else "have no zone and"
        questions.append(f"the times {ending} are read as UTC; --zone Europe/Berlin or such")
    return guess, questions


def _is_day_first(time_format: str) -> bool:
    month = max(time_format.find("%m"), time_format.find("%b"), time_format.find("%B"))
    return 0 <= time_format.find("%d") < month
