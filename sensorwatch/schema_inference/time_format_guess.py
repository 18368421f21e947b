"""Which declared time format reads a column of texts."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sensorwatch.common.rows.cells import number_of
from sensorwatch.common.rows.instants import BadTime, time_reader
from sensorwatch.common.rows.schema import TimeField

# In order of preference where several read a column equally well and in rising order.
PATTERNS = (
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
    "%Y-%m-%d %H:%M:%S,%f",
    "%Y/%m/%d %H:%M:%S",
    "%Y/%m/%d %H:%M:%S.%f",
    "%Y/%m/%d %H:%M",
    "%d.%m.%Y %H:%M:%S",
    "%d.%m.%Y %H:%M",
    "%d/%m/%Y %H:%M:%S",
    "%d/%m/%Y %H:%M",
    "%m/%d/%Y %H:%M:%S",
    "%m/%d/%Y %H:%M",
    "%m/%d/%Y %I:%M:%S %p",
    "%Y%m%d%H%M%S",
    "%Y%m%dT%H%M%S",
    "%Y-%m-%d %H:%M:%S%z",
    "%a %b %d %H:%M:%S %Y",
)
# strptime takes one digit for two: without this, any whole number of 8 to 14 digits were a time.
_LENGTHS = {"%Y%m%d%H%M%S": 14, "%Y%m%dT%H%M%S": 15}
_ENOUGH = 0.95
# From 1973 to 2096: a smaller number is a counter, a larger one another unit.
_EPOCHS = {"epoch_s": (1e8, 4e9), "epoch_ms": (1e11, 4e12)}


@dataclass(frozen=True, slots=True)
class TimeGuess:
    """A format that reads a column."""

    format: str
    naive: bool
    """True: at least one time has no zone."""
    unclear: str = ""
    """Another format that reads it as well; empty: none."""


def guess_time(cells: Sequence[str], *, named_so: bool) -> TimeGuess | None:
    """Find the format of a column's non-empty cells; None: they are no times.

    `named_so`: the column's name says time, so plain numbers may be one.
    """
    if named_so and (epoch := _epoch(cells)):
        return TimeGuess(epoch, naive=False)
    fitting = [(form, *fit) for form in ("rfc3339", *PATTERNS) if (fit := _fit(cells, form))]
    if not fitting:
        return None
    # Day and month can be taken for each other; a recording's times rise.
    best = max(fitting, key=lambda found: (found[1], found[2]))
    rivals = [form for form, share, rising in fitting if (share, rising) == best[1:]]
    naive = _share(cells, TimeField(format=best[0])) < best[1]
    return TimeGuess(best[0], naive=naive, unclear=rivals[1] if len(rivals) > 1 else "")


def _epoch(cells: Sequence[str]) -> str | None:
    numbers = [number_of(cell) for cell in cells]
    for form, (low, high) in _EPOCHS.items():
        fits = [isinstance(value, float) and low <= value <= high for value in numbers]
        if sum(fits) >= _ENOUGH * len(cells) > 0:
            return form
    return None


def _fit(cells: Sequence[str], form: str) -> tuple[float, float] | None:
    """Return the share of cells that the format reads, and the share of steps that do not fall."""
    declared = TimeField(format=form, naive_zone="UTC")
    # Most formats fail at once: a few cells tell.
    if _share(cells[:20], declared) < _ENOUGH or _share(cells, declared) < _ENOUGH:
        return None
    times = _times(cells, declared)
    rising = sum(now >= before for before, now in pairwise(times))
    return len(times) / len(cells), rising / max(1, len(times) - 1)


def _share(cells: Sequence[str], declared: TimeField) -> float:
    return len(_times(cells, declared)) / len(cells) if cells else 0.0


def _times(cells: Sequence[str], declared: TimeField) -> list[int]:
    read, times = time_reader(declared), []
    length = _LENGTHS.get(declared.format)
    for cell in cells:
        if length is not None and len(cell) != length:
            continue
        try:
            times.append(read(cell))
        except BadTime:
            continue
    return times
