"""Find columns that accompany the measurements: another time, and the quality of the values."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from sensorwatch.common.rows.field_declarations import EPOCH_UNITS_NS, GOOD_QUALITY
from sensorwatch.common.rows.instants import BadTime
from sensorwatch.schema_inference.column_guess import ColumnKind, InferredColumn
from sensorwatch.schema_inference.options import InferenceOptions
from sensorwatch.schema_inference.table import Table
from sensorwatch.schema_inference.time_format_guess import TimeGuess, cell_time_reader

_QUALITY_NAME = re.compile(r"(data|value)?(quality|qc)(code|flag|status)?|q")
_BAD_QUALITY = frozenset(
    {"bad", "uncertain", "invalid", "questionable", "suspect", "stale", "false", "0", "64"}
)
_GOOD_QUALITY = frozenset(str(flag) for flag in GOOD_QUALITY)
_MIN_GOOD_SHARE = 0.5
_TIME_ROWS = 50
_MIN_TIME_ROWS = 3
_MAX_DISTANCE_US = 86_400_000_000


def with_side_columns(
    table: Table,
    columns: Sequence[InferredColumn],
    times: Sequence[str],
    guess: TimeGuess,
    options: InferenceOptions,
) -> list[InferredColumn]:
    """Return the columns with the kinds QUALITY and OTHER_TIME set.

    `times`: the cells of the time column. A column that the user calls a measurement keeps its
    kind.
    """
    kept_names = set(options.measured_names)
    row_times = _RowTimes(times, guess)
    return [
        column
        if column.name in kept_names
        else _as_side_column(column, table.cells(column.name), row_times)
        for column in columns
    ]


def _as_side_column(
    column: InferredColumn, cells: Sequence[str], row_times: "_RowTimes"
) -> InferredColumn:
    if column.kind in (ColumnKind.TEXT, ColumnKind.SIGNAL) and _is_quality(column.name, cells):
        return replace(column, kind=ColumnKind.QUALITY)
    if column.kind is ColumnKind.SIGNAL and row_times.are_near(cells):
        return replace(column, kind=ColumnKind.OTHER_TIME)
    return column


def _is_quality(name: str, cells: Sequence[str]) -> bool:
    """Return whether a column has the name and the flags of a quality, most of them good."""
    plain_name = re.sub(r"[^a-z]", "", name.rpartition(".")[2].lower())
    flags = [cell.casefold().removesuffix(".0") for cell in cells if cell]
    if _QUALITY_NAME.fullmatch(plain_name) is None or not flags:
        return False
    good_count = sum(flag in _GOOD_QUALITY for flag in flags)
    is_known = all(flag in _GOOD_QUALITY or flag in _BAD_QUALITY for flag in flags)
    return is_known and good_count >= _MIN_GOOD_SHARE * len(flags)


class _RowTimes:
    """The times of the first rows, which are compared with the numbers of other columns."""

    def __init__(self, times: Sequence[str], guess: TimeGuess) -> None:
        read_time = cell_time_reader(guess)
        self._times: list[tuple[int, int]] = []
        """Position and time, in microseconds UTC, of each of the first rows with a time."""
        for row, text in enumerate(times[:_TIME_ROWS]):
            try:
                self._times.append((row, read_time(text)))
            except BadTime:
                continue
        self._cell_readers = [
            cell_time_reader(TimeGuess(unit, naive=False)) for unit in EPOCH_UNITS_NS
        ]

    def are_near(self, cells: Sequence[str]) -> bool:
        """Return whether a column has times that are at most a day from the time of their row.

        `cells`: one cell for each row.
        """
        time_pairs = [(cells[row], time) for row, time in self._times if cells[row]]
        if len(time_pairs) < _MIN_TIME_ROWS:
            return False
        return any(_are_all_near(time_pairs, read_cell) for read_cell in self._cell_readers)


def _are_all_near(time_pairs: Sequence[tuple[str, int]], read_cell: Callable[[str], int]) -> bool:
    for cell, time in time_pairs:
        try:
            if abs(read_cell(cell) - time) > _MAX_DISTANCE_US:
                return False
        except BadTime:
            return False
    return True
