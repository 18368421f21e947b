"""The highest score of each sensor in each time step, from the events of the anomaly topic."""

import heapq
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sensorwatch.common.alarms.severity import severity_rank, severity_text

MAX_CELLS = 200_000
"""The lanes remember at most this number of cells, about 150 bytes each."""


class LaneCell(NamedTuple):
    """The worst score of one sensor in one time step."""

    begin: int
    """Begin of the time step, in seconds since 1970 UTC."""
    score: float
    rank: int
    """Position of the severity in the order of the severities; 0 without an alarm."""
    alarms: int
    """Number of events, or of anomalous rows if the cell comes from the scores topic."""

    @property
    def severity(self) -> str:
        """Return the severity as text."""
        return severity_text(self.rank)


@dataclass(slots=True)
class _WorstScore:
    score: float
    rank: int
    events: int


@dataclass(frozen=True, slots=True)
class Lane:
    """The cells of one sensor, in the order of time."""

    sensor_id: str
    cells: tuple[LaneCell, ...]

    @property
    def worst(self) -> LaneCell:
        """Return the first cell with the highest score; the lane must have a cell."""
        return max(self.cells, key=lambda cell: cell.score)

    @property
    def severity(self) -> str:
        """Return the highest severity of the lane."""
        return severity_text(max(cell.rank for cell in self.cells))

    @property
    def alarms(self) -> int:
        """Return the sum of the alarms of all cells."""
        return sum(cell.alarms for cell in self.cells)

    @property
    def alarm_begins(self) -> list[int]:
        """Return the begins of the time steps with an alarm, in seconds since 1970 UTC."""
        return [cell.begin for cell in self.cells if cell.rank > 0]


class Lanes:
    """Cells by time step and sensor, for at most `max_cells` cells.

    If there are more cells, all cells of the oldest time step are dropped.
    """

    def __init__(self, step_seconds: int, *, max_cells: int = MAX_CELLS) -> None:
        self.step_seconds = step_seconds
        self._max_cells = max_cells
        self._cells: dict[int, dict[str, _WorstScore]] = {}
        self._cell_count = 0
        self._newest_dropped: float = -math.inf
        """Begin of the newest time step that was dropped. Scores up to this step are not added."""

    def __len__(self) -> int:
        return self._cell_count

    def add(self, sensor_id: str, seconds: float, score: float, severity: str) -> None:
        """Add the score of an event; `seconds`: event time since 1970 UTC."""
        self._add(sensor_id, self._step_of(seconds), score, severity, events=1)

    def add_span(
        self, sensor_id: str, begin: float, end: float, score: float, severity: str
    ) -> None:
        """Add a score to all time steps of an episode, although it has no event in some of them."""
        first = max(self._step_of(begin), self._newest_dropped + self.step_seconds)
        for step in range(int(first), self._step_of(end) + 1, self.step_seconds):
            self._add(sensor_id, step, score, severity, events=0)

    def _step_of(self, seconds: float) -> int:
        return int(seconds // self.step_seconds) * self.step_seconds

    def _add(self, sensor_id: str, step: int, score: float, severity: str, *, events: int) -> None:
        if step <= self._newest_dropped:
            return
        cells = self._cells.setdefault(step, {})
        cell = cells.get(sensor_id)
        if cell is not None:
            cell.score = max(cell.score, score)
            cell.rank = max(cell.rank, severity_rank(severity))
            cell.events += events
            return
        cells[sensor_id] = _WorstScore(score, severity_rank(severity), events)
        self._cell_count += 1
        if self._cell_count > self._max_cells:
            self._drop(min(self._cells))

    def drop_before(self, seconds: float) -> None:
        """Drop the time steps that end before `seconds`."""
        limit = seconds - self.step_seconds
        for step in [step for step in self._cells if step <= limit]:
            self._drop(step)

    def ranked(self, begin: float, end: float, limit: int) -> list[Lane]:
        """Return the lanes with the highest severity and score between two times, worst first."""
        steps = list(self._steps(begin, end))
        best: dict[str, tuple[int, float]] = {}
        for _, cells in steps:
            for sensor_id, cell in cells.items():
                rank_and_score = (cell.rank, cell.score)
                if sensor_id not in best or rank_and_score > best[sensor_id]:
                    best[sensor_id] = rank_and_score
        worst_sensors = heapq.nsmallest(
            limit, best, key=lambda sensor_id: (-best[sensor_id][0], -best[sensor_id][1], sensor_id)
        )
        return [Lane(sensor_id, tuple(_cells_of(sensor_id, steps))) for sensor_id in worst_sensors]

    def _steps(self, begin: float, end: float) -> Iterator[tuple[int, dict[str, _WorstScore]]]:
        for step in sorted(self._cells):
            if begin - self.step_seconds < step <= end:
                yield step, self._cells[step]

    def _drop(self, step: int) -> None:
        self._cell_count -= len(self._cells.pop(step))
        self._newest_dropped = max(step, self._newest_dropped)


def _cells_of(
    sensor_id: str, steps: Iterable[tuple[int, dict[str, _WorstScore]]]
) -> Iterator[LaneCell]:
    for step, cells in steps:
        cell = cells.get(sensor_id)
        if cell is not None:
            yield LaneCell(step, cell.score, cell.rank, cell.events)
