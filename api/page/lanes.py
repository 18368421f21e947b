"""The highest score of each sensor in each time step, for the swim lanes of the page."""

from collections.abc import Iterator
from dataclasses import dataclass

from sensorwatch.common.alarms.severity import severity_rank

MAX_CELLS = 200_000
"""The lanes remember at most this number of cells, about 150 bytes each."""


@dataclass(slots=True)
class LaneCell:
    """The worst score of one sensor in one time step.

    Aggregates of normal rows can be added to a cell in the same way as events.
    """

    score: float
    severity: str
    events: int


@dataclass(frozen=True, slots=True)
class Lane:
    """The cells of one sensor, in the order of time."""

    sensor_id: str
    cells: tuple[tuple[int, LaneCell], ...]
    """Begin of the time step, in seconds since 1970 UTC, and its cell."""

    @property
    def score(self) -> float:
        """Return the highest score of the lane."""
        return max(cell.score for _, cell in self.cells)

    @property
    def severity(self) -> str:
        """Return the highest severity of the lane."""
        return max((cell.severity for _, cell in self.cells), key=severity_rank)

    @property
    def events(self) -> int:
        """Return the number of events in the lane."""
        return sum(cell.events for _, cell in self.cells)


class Lanes:
    """Cells by time step and sensor, for at most `max_cells` cells.

    If there are more cells, all cells of the oldest time step are dropped.
    """

    def __init__(self, step_seconds: int, *, max_cells: int = MAX_CELLS) -> None:
        self.step_seconds = step_seconds
        self._max_cells = max_cells
        self._cells: dict[int, dict[str, LaneCell]] = {}
        self._cell_count = 0

    def __len__(self) -> int:
        return self._cell_count

    def add(self, sensor_id: str, seconds: float, score: float, severity: str) -> None:
        """Add the score of an event; `seconds`: event time since 1970 UTC."""
        self._add(sensor_id, self._step_of(seconds), score, severity, events=1)

    def add_span(
        self, sensor_id: str, begin: float, end: float, score: float, severity: str
    ) -> None:
        """Add a score to all time steps of an episode, although it has no event in some of them."""
        for step in range(self._step_of(begin), self._step_of(end) + 1, self.step_seconds):
            self._add(sensor_id, step, score, severity, events=0)

    def _step_of(self, seconds: float) -> int:
        return int(seconds // self.step_seconds) * self.step_seconds

    def _add(self, sensor_id: str, step: int, score: float, severity: str, *, events: int) -> None:
        cells = self._cells.setdefault(step, {})
        cell = cells.get(sensor_id)
        if cell is not None:
            cell.score = max(cell.score, score)
            cell.severity = max(cell.severity, severity, key=severity_rank)
            cell.events += events
            return
        cells[sensor_id] = LaneCell(score, severity, events)
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
        cells_by_sensor: dict[str, list[tuple[int, LaneCell]]] = {}
        for step, cells in self._steps(begin, end):
            for sensor_id, cell in cells.items():
                cells_by_sensor.setdefault(sensor_id, []).append((step, cell))
        lanes = [Lane(sensor_id, tuple(cells)) for sensor_id, cells in cells_by_sensor.items()]
        lanes.sort(key=lambda lane: (-severity_rank(lane.severity), -lane.score, lane.sensor_id))
        return lanes[:limit]

    def _steps(self, begin: float, end: float) -> Iterator[tuple[int, dict[str, LaneCell]]]:
        for step in sorted(self._cells):
            if begin - self.step_seconds < step <= end:
                yield step, self._cells[step]

    def _drop(self, step: int) -> None:
        self._cell_count -= len(self._cells.pop(step))
