"""Columns of numbers by time step and sensor, in bounded memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]
MIN_STEPS = 8
"""The window is never divided into fewer time steps."""
_FIRST_SENSORS = 64


class TimeGrid:
    """Cells of the newest time steps: one cell for each time step and sensor.

    If the cells for all sensors would be more than `max_cells`, the time step is doubled, and two
    neighbouring cells become one.
    """

    def __init__(
        self,
        empty: Callable[[int, int], Columns],
        combine: Callable[[Columns, Columns], Columns],
        *,
        window_seconds: int,
        step_seconds: int,
        max_cells: int,
    ) -> None:
        """Create a grid without sensors.

        `empty` returns columns of empty cells, whose first axes are time step and sensor. `combine`
        returns the cells for the rows of two cells; an empty cell must not change the other cell.
        """
        self._empty, self._combine = empty, combine
        self._window_seconds, self._max_cells = window_seconds, max_cells
        self.step_seconds = step_seconds
        self._newest_step = -1
        """Number of the newest time step since 1970 UTC, or -1 if there is none."""
        self._sensors = min(_FIRST_SENSORS, max_cells // self._steps)
        """Number of sensors that have space."""
        self._columns = empty(self._steps, self._sensors)
        self._changes = np.zeros(self._steps, np.int64)

    @property
    def max_sensors(self) -> int:
        """Return the largest number of sensors; cells of other sensors are not stored."""
        return self._max_cells // MIN_STEPS

    @property
    def byte_count(self) -> int:
        """Return the size of all cells."""
        return sum(column.nbytes for column in self._columns.values())

    @property
    def _steps(self) -> int:
        return max(self._window_seconds // self.step_seconds, MIN_STEPS - 2) + 2

    def reserve(self, sensors: int) -> None:
        """Provide cells for this number of sensors, or for `max_sensors` if that is less."""
        sensors = min(sensors, self.max_sensors)
        if sensors <= self._sensors:
            return
        while sensors * self._steps > self._max_cells and self._steps > MIN_STEPS:
            self._double_step()
        largest = max(self._max_cells // self._steps, sensors)
        self._keep(np.arange(self._sensors), min(max(2 * self._sensors, sensors), largest))

    def keep(self, sensors: NDArray[np.int64]) -> None:
        """Keep the cells of some sensors; the sensors get the positions 0, 1, 2 and so on."""
        sensors = sensors[sensors < self._sensors]
        self._keep(sensors, max(len(sensors), min(_FIRST_SENSORS, self._sensors)))

    def add(
        self, sensors: NDArray[np.int64], seconds: NDArray[np.int64], cells: Columns, revision: int
    ) -> None:
        """Combine cells with the stored ones.

        `sensors`: positions of the sensors, each at most once. `seconds`: event time of each cell,
        since 1970 UTC. Cells that are older than the window, and cells of sensors without space,
        are left out. `revision` is stored with each time step that changed.
        """
        steps = seconds // self.step_seconds
        if len(steps):
            self._advance(int(steps.max()))
        used = (sensors < self._sensors) & (steps > self._newest_step - self._steps)
        index = (steps[used] % self._steps, sensors[used])
        stored = {name: column[index] for name, column in self._columns.items()}
        combined = self._combine(stored, {name: column[used] for name, column in cells.items()})
        for name, column in self._columns.items():
            column[index] = combined[name]
        self._changes[index[0]] = revision

    def steps_between(self, begin: float, end: float, *, after: int = -1) -> NDArray[np.int64]:
        """Return the begins of the stored time steps between two times, in order.

        Times are in seconds since 1970 UTC. Time steps without a change after the revision `after`
        are left out.
        """
        first = max(self._newest_step - self._steps + 1, int(begin // self.step_seconds), 0)
        last = min(self._newest_step, int(end // self.step_seconds))
        numbers = np.arange(first, last + 1, dtype=np.int64)
        return numbers[self._changes[numbers % self._steps] > after] * self.step_seconds

    def column(self, name: str, begins: NDArray[np.int64]) -> NDArray[Any]:
        """Return a column of the time steps with these begins, for all sensors with space."""
        column: NDArray[Any] = self._columns[name][begins // self.step_seconds % self._steps]
        return column

    def cells(self, begins: NDArray[np.int64], sensor: int) -> Columns:
        """Return all columns of one sensor in the time steps with these begins."""
        if sensor >= self._sensors:
            return {name: column[:, 0] for name, column in self._empty(len(begins), 1).items()}
        steps = begins // self.step_seconds % self._steps
        return {name: column[steps, sensor] for name, column in self._columns.items()}

    def _advance(self, step: int) -> None:
        """Make `step` the newest time step if it is newer; empty the time steps before it."""
        if step <= self._newest_step:
            return
        first = max(self._newest_step + 1, step - self._steps + 1)
        new_steps = np.arange(first, step + 1) % self._steps
        for name, empty_column in self._empty(1, 1).items():
            self._columns[name][new_steps] = empty_column
        self._changes[new_steps] = 0
        self._newest_step = step

    def _double_step(self) -> None:
        """Combine each two neighbouring time steps."""
        old_begins = self.steps_between(0, self._newest_step * self.step_seconds)
        old_columns = {name: self.column(name, old_begins) for name in self._columns}
        old_changes = self._changes[old_begins // self.step_seconds % self._steps]
        self.step_seconds *= 2
        self._newest_step = -1
        self._columns = self._empty(self._steps, self._sensors)
        self._changes = np.zeros(self._steps, np.int64)
        for position, begin in enumerate(old_begins.tolist()):
            self._advance(begin // self.step_seconds)
            step = begin // self.step_seconds % self._steps
            combined = self._combine(
                {name: column[step] for name, column in self._columns.items()},
                {name: column[position] for name, column in old_columns.items()},
            )
            for name, column in self._columns.items():
                column[step] = combined[name]
            self._changes[step] = max(self._changes[step], old_changes[position])

    def _keep(self, sensors: NDArray[np.int64], capacity: int) -> None:
        columns = self._empty(self._steps, capacity)
        for name, column in columns.items():
            column[:, : len(sensors)] = self._columns[name][:, sensors]
        self._columns, self._sensors = columns, capacity
