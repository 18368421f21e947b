"""The scores and the signals of all sensors in the window of the page, from the scores topic."""

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sensorwatch.api.page.lanes import Lane, LaneCell
from sensorwatch.api.page.score_cells import (
    combine_lane_cells,
    combine_signal_cells,
    empty_lane_cells,
    empty_signal_cells,
    lane_cells,
    signal_cells,
)
from sensorwatch.api.page.time_grid import Columns, TimeGrid
from sensorwatch.common.scoring.score_aggregates import ScoreAggregates

MAX_LANE_CELLS = 10_000_000
"""Largest number of cells of the lanes, 7 bytes each."""
MAX_SIGNAL_CELLS = 4_000_000
"""Largest number of cells of the signals, 32 bytes each."""
MAX_SENSORS = 200_000
"""Further sensors are not shown."""
_MICROSECONDS = 1_000_000


@dataclass(frozen=True, slots=True)
class ReceivedScores:
    """The aggregates of a record, and the time at which the record was written."""

    aggregates: ScoreAggregates
    written_at: float
    """Seconds since 1970 UTC."""


@dataclass(frozen=True, slots=True)
class SignalHistory:
    """One signal of one sensor; each array has one number for each time step with rows."""

    name: str
    begins: NDArray[np.int64]
    """Begins of the time steps, in seconds since 1970 UTC."""
    columns: Columns
    """The columns of `score_cells.empty_signal_cells`."""


class ScoreHistory:
    """Folds records of the scores topic into time steps. All methods may run in any thread."""

    def __init__(
        self,
        window_seconds: int,
        step_seconds: int,
        *,
        clock_tolerance_seconds: float = 300.0,
        max_lane_cells: int = MAX_LANE_CELLS,
        max_signal_cells: int = MAX_SIGNAL_CELLS,
        max_sensors: int = MAX_SENSORS,
    ) -> None:
        """`clock_tolerance_seconds`: rows dated later than this after their record are left out."""
        self._window_seconds, self._first_step_seconds = window_seconds, step_seconds
        self._clock_tolerance_seconds = clock_tolerance_seconds
        self._max_signal_cells, self._max_sensors = max_signal_cells, max_sensors
        self._max_lane_cells = max_lane_cells
        self._lock = threading.Lock()
        self._revision = 0
        self.forget()

    @property
    def revision(self) -> int:
        """Return a number that grows with each change."""
        return self._revision

    @property
    def newest_time(self) -> int | None:
        """Return the newest event time in seconds since 1970 UTC, or None without rows."""
        return self._newest_time

    @property
    def step_seconds(self) -> int:
        """Return the length of a time step of the lanes."""
        return self._lanes.step_seconds

    @property
    def signal_step_seconds(self) -> int:
        """Return the length of a time step of the signals."""
        return self._signals.step_seconds if self._signals else self._first_step_seconds

    @property
    def byte_count(self) -> int:
        """Return the size of all cells."""
        return self._lanes.byte_count + (self._signals.byte_count if self._signals else 0)

    @property
    def sensor_count(self) -> int:
        """Return the number of sensors with rows in the window."""
        return len(self._positions)

    @property
    def is_full(self) -> bool:
        """Return whether rows of further sensors were left out, because there is no space."""
        return self._is_full

    def forget(self) -> None:
        """Forget all rows."""
        with self._lock:
            self._positions: dict[str, int] = {}
            self._last_times = np.zeros(0, np.int64)
            self._newest_time: int | None = None
            self._is_full = False
            self._lanes = TimeGrid(
                empty_lane_cells,
                combine_lane_cells,
                window_seconds=self._window_seconds,
                step_seconds=self._first_step_seconds,
                max_cells=self._max_lane_cells,
            )
            self._signal_names: tuple[str, ...] = ()
            self._signals: TimeGrid | None = None
            self._revision += 1

    def add(self, received_scores: Iterable[ReceivedScores]) -> None:
        """Add records in the order of their partitions."""
        for scores in received_scores:
            with self._lock:
                self._add(scores.aggregates, scores.written_at)
                self._revision += 1

    def ranked(self, begin: float, end: float, limit: int) -> list[Lane]:
        """Return the sensors with the highest severity and score between two times, worst first."""
        with self._lock:
            sensor_ids = list(self._positions)
            begins = self._lanes.steps_between(begin, end)
            if not sensor_ids or not len(begins):
                return []
            score = self._lanes.column("score", begins)[:, : len(sensor_ids)].max(axis=0)
            severity = self._lanes.column("severity", begins)[:, : len(score)].max(axis=0)
            order = np.lexsort((-score, -severity.astype(np.int64)))[:limit]
            order = order[np.isfinite(score[order])]
            return [self._lane(sensor_ids[sensor], begins) for sensor in order.tolist()]

    def changed_lanes(self, sensor_ids: Sequence[str], revision: int) -> list[Lane]:
        """Return the cells of some sensors in the time steps that changed after a revision."""
        with self._lock:
            end = self._newest_time or 0
            begins = self._lanes.steps_between(end - self._window_seconds, end, after=revision)
            return [self._lane(sensor_id, begins) for sensor_id in sensor_ids]

    def signals_of(self, sensor_id: str) -> list[SignalHistory]:
        """Return the signals of a sensor that have values in the window."""
        with self._lock:
            position = self._positions.get(sensor_id)
            if position is None or self._signals is None:
                return []
            end = self._newest_time or 0
            begins = self._signals.steps_between(end - self._window_seconds, end)
            cells = self._signals.cells(begins, position)
            names = self._signal_names
        histories = []
        for number, name in enumerate(names):
            has_values = cells["values"][:, number] > 0
            columns = {key: column[has_values, number] for key, column in cells.items()}
            if has_values.any():
                histories.append(SignalHistory(name, begins[has_values], columns))
        return histories

    def lane_of(self, sensor_id: str) -> Lane | None:
        """Return the lane of a sensor in the window, or None for a sensor without rows."""
        with self._lock:
            if sensor_id not in self._positions:
                return None
            end = self._newest_time or 0
            return self._lane(sensor_id, self._lanes.steps_between(end - self._window_seconds, end))

    def _lane(self, sensor_id: str, begins: NDArray[np.int64]) -> Lane:
        position = self._positions.get(sensor_id)
        if position is None:
            return Lane(sensor_id, ())
        cells = self._lanes.cells(begins, position)
        has_rows = np.isfinite(cells["score"])
        columns = (begins, cells["score"], cells["severity"], cells["anomalous_rows"])
        numbers = (column[has_rows].tolist() for column in columns)
        return Lane(sensor_id, tuple(map(LaneCell, *numbers)))

    def _add(self, aggregates: ScoreAggregates, written_at: float) -> None:
        limit = int((written_at + self._clock_tolerance_seconds) * _MICROSECONDS)
        aggregates = aggregates.take(np.flatnonzero(aggregates.last_time <= limit))
        positions = self._positions_of(aggregates.sensor_ids)
        if not len(positions):
            return
        known = np.flatnonzero(positions >= 0)
        aggregates, positions = aggregates.take(known), positions[known]
        last_times = aggregates.last_time // _MICROSECONDS
        self._last_times[positions] = np.maximum(self._last_times[positions], last_times)
        self._newest_time = max(int(last_times.max(initial=0)), self._newest_time or 0)
        worst_times = aggregates.worst_time // _MICROSECONDS
        self._lanes.add(positions, worst_times, lane_cells(aggregates), self._revision + 1)
        signals = self._signals_with(aggregates.signal_names)
        if signals is not None:
            signals.reserve(len(self._positions))
            cells = _aligned(signal_cells(aggregates), aggregates.signal_names, self._signal_names)
            signals.add(positions, last_times, cells, self._revision + 1)

    def _positions_of(self, sensor_ids: Sequence[str]) -> NDArray[np.int64]:
        """Return the positions of sensors; -1 for a new sensor for which there is no space."""
        get = self._positions.get
        new_ids = [sensor_id for sensor_id in sensor_ids if get(sensor_id) is None]
        if new_ids:
            self._add_sensors(new_ids)
        return np.fromiter(
            (self._positions.get(sensor_id, -1) for sensor_id in sensor_ids),
            np.int64,
            len(sensor_ids),
        )

    def _add_sensors(self, new_ids: Sequence[str]) -> None:
        if len(self._positions) + len(new_ids) > min(len(self._last_times), self._max_sensors):
            self._drop_old_sensors()
        space = self._max_sensors - len(self._positions)
        self._is_full = len(new_ids) > space
        for sensor_id in new_ids[:space]:
            self._positions[sensor_id] = len(self._positions)
        missing = len(self._positions) - len(self._last_times)
        if missing > 0:
            # Old sensors are dropped again only after this number of sensors doubled.
            self._last_times = np.pad(self._last_times, (0, missing + len(self._last_times)))
        self._lanes.reserve(len(self._positions))

    def _drop_old_sensors(self) -> None:
        """Drop the sensors without a row in the window."""
        begin = (self._newest_time or 0) - self._window_seconds
        is_new = self._last_times[: len(self._positions)] >= begin
        if is_new.all():
            return
        kept = np.flatnonzero(is_new)
        sensor_ids = list(self._positions)
        self._positions = {sensor_ids[old]: new for new, old in enumerate(kept.tolist())}
        self._last_times = self._last_times[kept]
        self._lanes.keep(kept)
        if self._signals is not None:
            self._signals.keep(kept)

    def _signals_with(self, names: tuple[str, ...]) -> TimeGrid | None:
        """Return the grid of the signals. If a signal is new, the grid is replaced by an empty one.

        A new signal is rare, because only a model with another schema has new signals.
        """
        new_names = tuple(name for name in names if name not in self._signal_names)
        if new_names:
            self._signal_names += new_names
            signal_count = len(self._signal_names)
            self._signals = TimeGrid(
                lambda steps, sensors: empty_signal_cells(steps, sensors, signal_count),
                combine_signal_cells,
                window_seconds=self._window_seconds,
                step_seconds=self._first_step_seconds,
                max_cells=self._max_signal_cells // signal_count,
            )
        return self._signals


def _aligned(cells: Columns, names: Sequence[str], all_names: Sequence[str]) -> Columns:
    """Return the cells of signals in the order of `all_names`; missing signals have no rows."""
    if tuple(names) == tuple(all_names):
        return cells
    columns = [all_names.index(name) for name in names]
    aligned = empty_signal_cells(1, len(cells["rows"]), len(all_names))
    for name, column in cells.items():
        aligned[name][0, :, columns] = column.T
    return {name: column[0] for name, column in aligned.items()}
