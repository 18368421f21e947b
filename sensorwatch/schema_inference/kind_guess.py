"""Guess from a column's values whether it is a counter or an angle, and ask about it."""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.rows.instants import BadTime
from sensorwatch.schema_inference.column_guess import ColumnKind, InferredColumn, NumberReader
from sensorwatch.schema_inference.options import InferenceOptions
from sensorwatch.schema_inference.table import Table
from sensorwatch.schema_inference.time_format_guess import TimeGuess, cell_time_reader

CIRCLE = 360.0
"""The circle of an angle in degrees."""
_TOTAL_NAME = re.compile(r"total|counter|cumul|odometer|energy|kwh|pulses|meter.?reading")
_MIN_ROWS = 50
_MIN_DISTINCT_VALUES = 20
_MAX_RESET_SHARE = 0.1
"""At most this share of a counter's rows are resets."""
_NEAR_ZERO_SHARE = 0.1
"""After a reset, a counter has at most this share of its value before."""
_MIN_PEAK_RANGE = 0.01
"""Peaks that differ by less than this share are the end of a cycle, such as hours or percents."""
_MIN_RATE_RANGE = 0.01
"""A column whose rates differ by less than this share is a clock or a straight line."""
_WRAP_MARGIN_DEGREES = 10.0
"""An angle has values this close to 0, and values this close to 360 degrees."""
_MIN_CROSSINGS = 3
_MAX_WIDE_SHARE = 0.05
"""At most this share of an angle's steps is longer than a quarter of the circle."""

Values = NDArray[np.float64]


def with_chosen_kinds(
    columns: Iterable[InferredColumn], options: InferenceOptions
) -> list[InferredColumn]:
    """Return the columns with the counters and angles that the user names."""
    return [
        replace(
            column,
            is_counter=column.name in options.counter_names,
            wrap=CIRCLE if column.name in options.angle_names else None,
        )
        for column in columns
    ]


def kind_questions(
    table: Table,
    columns: Sequence[InferredColumn],
    times: Sequence[str],
    guess: TimeGuess,
    options: InferenceOptions,
    read_number: NumberReader,
) -> Iterator[str]:
    """Yield a question for each signal that behaves like a counter or an angle.

    `times`: the cells of the time. There is no question about a column that an option names as a
    signal, a counter or an angle.
    """
    decided_names = {*options.signal_names, *options.counter_names, *options.angle_names}
    keys = [table.cells(column.name) for column in columns if column.kind is ColumnKind.KEY]
    row_order: _RowOrder | None = None
    for column in columns:
        is_measured = column.kind in (ColumnKind.SIGNAL, ColumnKind.CONTEXT)
        is_plain = not column.words and not column.unit
        if not (is_measured and is_plain) or column.name in decided_names:
            continue
        if not (_has_range_of_angle(column) or _has_range_of_counter(column)):
            continue
        cells = table.cells(column.name)
        if row_order is None:
            row_order = _RowOrder(keys, times, cell_time_reader(guess))
        series = row_order.series(_numbers_in_cells(cells, read_number, options.missing_numbers))
        question = _angle_question(column, series) or _counter_question(column, series)
        if question:
            yield question


def _numbers_in_cells(
    cells: Sequence[str], read_number: NumberReader, missing_numbers: frozenset[float]
) -> Values:
    numbers = (read_number(cell) for cell in cells)
    return np.asarray(
        [
            number if isinstance(number, float) and number not in missing_numbers else math.nan
            for number in numbers
        ]
    )


class _Series:
    """The values of a column in steps between neighbouring rows of one sensor."""

    def __init__(self, values: Values, minutes: Values, is_step: NDArray[np.bool_]) -> None:
        is_known = np.isfinite(values)
        self.values = values[is_known]
        used_steps = is_step & is_known[1:] & is_known[:-1]
        self.before, self.after = values[:-1][used_steps], values[1:][used_steps]
        self.step_minutes = np.diff(minutes)[used_steps]


class _RowOrder:
    """The rows of each sensor in time order."""

    def __init__(
        self, keys: Sequence[Sequence[str]], times: Sequence[str], read_time: Callable[[str], int]
    ) -> None:
        self._minutes = np.asarray([_minutes(text, read_time) for text in times])
        ids = [*zip(*keys, strict=True)] if keys else [()] * len(times)
        number_of_id = {key: number for number, key in enumerate(dict.fromkeys(ids))}
        sensors = np.asarray([number_of_id[key] for key in ids])
        self._order = np.lexsort((self._minutes, sensors))
        self._is_step = np.diff(sensors[self._order]) == 0

    def series(self, values: Values) -> _Series:
        """Return the values (n,) of a column as a series; a row without a time has no neighbour."""
        minutes = self._minutes[self._order]
        is_timed = np.isfinite(minutes)
        is_step = self._is_step & is_timed[1:] & is_timed[:-1]
        return _Series(values[self._order], minutes, is_step)


def _minutes(text: str, read_time: Callable[[str], int]) -> float:
    try:
        return read_time(text) / 60e6
    except BadTime:
        return math.nan


def _has_range_of_angle(column: InferredColumn) -> bool:
    return (
        0.0 <= column.low < _WRAP_MARGIN_DEGREES
        and CIRCLE - _WRAP_MARGIN_DEGREES < column.high <= CIRCLE
    )


def _has_range_of_counter(column: InferredColumn) -> bool:
    """Return whether a column has values near 0, as after a reset, or the name of a total."""
    return column.low >= 0.0 and (
        column.low <= _NEAR_ZERO_SHARE * column.high or _has_name_of_total(column)
    )


def _has_name_of_total(column: InferredColumn) -> bool:
    return _TOTAL_NAME.search(column.name.casefold()) is not None


def _angle_question(column: InferredColumn, series: _Series) -> str | None:
    """Return a question if the values are on a circle of 360 degrees, and step between its ends."""
    if not _has_range_of_angle(column) or not _varies(series):
        return None
    steps = series.after - series.before
    arcs = np.abs((steps + CIRCLE / 2) % CIRCLE - CIRCLE / 2)
    crossings = int((np.abs(steps) > CIRCLE / 2).sum())
    wide_share = float((arcs > CIRCLE / 4).mean())
    if crossings < _MIN_CROSSINGS or wide_share > _MAX_WIDE_SHARE:
        return None
    return (
        f"{column.name!r} steps between values near 0 and near 360 in {crossings} rows; if it is "
        f"an angle in degrees: --angle {column.name}, or in the schema: wrap = 360"
    )


def _counter_question(column: InferredColumn, series: _Series) -> str | None:
    """Return a question if the values only rise, except for resets to values near 0."""
    if not _has_range_of_counter(column) or not _varies(series):
        return None
    is_reset = series.after < series.before
    peaks, resets = series.before[is_reset], int(is_reset.sum())
    if resets > _MAX_RESET_SHARE * len(is_reset) or not (resets or _has_name_of_total(column)):
        return None
    if (series.after[is_reset] > _NEAR_ZERO_SHARE * peaks).any() or _is_cycle(peaks):
        return None
    if _has_one_rate(series, ~is_reset):
        return None
    rows = "row" if resets == 1 else "rows"
    resets_text = f", and falls to nearly 0 in {resets} {rows}" if resets else ""
    return (
        f"{column.name!r} only rises{resets_text}; if it is a total, whose rate should be "
        f'compared: --counter {column.name}, or in the schema: kind = "counter"'
    )


def _varies(series: _Series) -> bool:
    has_many_rows = len(series.before) >= _MIN_ROWS
    return has_many_rows and len(np.unique(series.values)) >= _MIN_DISTINCT_VALUES


def _is_cycle(peaks: Values) -> bool:
    """Return whether all values before a reset are nearly equal; a single 1 or 100 counts, too."""
    if len(peaks) == 1:
        return float(peaks[0]) in (1.0, 100.0)
    return len(peaks) > 1 and float(np.ptp(peaks)) < _MIN_PEAK_RANGE * float(peaks.max())


def _has_one_rate(series: _Series, is_rise: NDArray[np.bool_]) -> bool:
    """Return whether nearly all rises have the same rate, like those of a clock."""
    is_used = is_rise & (series.step_minutes > 0)
    if not is_used.any():
        return True
    rates = (series.after - series.before)[is_used] / series.step_minutes[is_used]
    low, middle, high = np.quantile(rates, (0.05, 0.5, 0.95))
    return bool(high - low <= _MIN_RATE_RANGE * abs(middle))
