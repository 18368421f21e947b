"""What is remembered of each sensor of one stream between micro-batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.levels import Levels
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.memory_adoption import adopted
from sensorwatch.common.scoring.memory_layout import NEVER, Layout, Whole

MAX_SENSORS = 100_000
OLD = -1
"""In `Span.fresh`: the sensor was there before."""
_FIRST_CAPACITY = 16


@dataclass(frozen=True, slots=True)
class Span:
    """Consecutive readings with the place of each one's sensor."""

    rows: slice
    slots: NDArray[np.int64]
    """(n,) line of the sensor in the memory's tables."""
    fresh: NDArray[np.int32]
    """(n,) OLD, or the number of the level that a new sensor begins with."""
    evicted: dict[int, str]
    """By row: the sensor that had to go for a new one."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """What a micro-batch may have to go back to."""

    size: int
    clock: int
    position: int
    evicted: int


class Memory:
    """The memory of one stream of readings: an input partition, a request, a file.

    A value in what it means, `(memory, rows) -> (memory, outcome)`, but written in place: `begin`
    marks a state, `undo` goes back to it.
    """

    def __init__(self, layout: Layout, *, max_sensors: int = MAX_SENSORS) -> None:
        self.layout = layout
        self.max_sensors = max_sensors
        self.numbers: dict[str, int] = {}
        """Line of each sensor."""
        self.names: list[str] = []
        """Sensor of each line."""
        self.reals = np.zeros((_FIRST_CAPACITY, layout.reals))
        self.wholes = np.zeros((_FIRST_CAPACITY, layout.wholes), dtype=np.int64)
        self.clock = 0
        """Readings that have touched it so far."""
        self.position = 0
        """Where the stream goes on: past the newest record, scored or not."""
        self.evicted = 0
        """Sensors forgotten to make room for others, so far."""
        self._mark: _Mark | None = None
        self._journal: list[Undoable] = []

    @property
    def sensors(self) -> int:
        """How many sensors it knows."""
        return len(self.names)

    def begin(self) -> None:
        """Mark the state that `undo` goes back to."""
        self._mark = _Mark(self.sensors, self.clock, self.position, self.evicted)
        self._journal.clear()

    def undo(self) -> None:
        """Go back to the last `begin`."""
        if self._mark is None:
            raise ValueError("nothing was begun")
        for entry in reversed(self._journal):
            entry.undo(self)
        self._journal.clear()
        for name in self.names[self._mark.size :]:
            del self.numbers[name]
        del self.names[self._mark.size :]
        self.clock, self.position = self._mark.clock, self._mark.position
        self.evicted = self._mark.evicted

    def spans(self, readings: Readings, known: dict[str, int]) -> Iterator[Span]:
        """Give every reading its sensor's line, making room where there is none left.

        `known`: the level of each sensor that the model knows; 0 is that of all others. Each span
        has to be written into the memory before the next is asked for: who has to go follows from
        what the rows before have touched.
        """
        new = [name for name in readings.sensor_ids if name not in self.numbers]
        if self.sensors + len(new) <= self.max_sensors:
            yield self._span(readings, 0, len(readings), known)
            return
        start, waiting = 0, set[str]()
        for row, number in enumerate(readings.sensor.tolist()):
            name = readings.sensor_ids[number]
            if name in self.numbers or name in waiting:
                continue
            if self.sensors + len(waiting) < self.max_sensors:
                waiting.add(name)
                continue
            if row > start:
                yield self._span(readings, start, row, known)
            yield self._in_place_of_the_oldest(readings, row, known)
            start = row + 1
            waiting.clear()
        if start < len(readings):
            yield self._span(readings, start, len(readings), known)

    def adopt(self, model: "Remembered") -> None:
        """Go on for a new model.

        See `adopted` for what carries over.
        """
        self.remember(_Replaced(self.layout, self.reals, self.wholes))
        tables = adopted(
            self.names, self.layout, (self.reals, self.wholes), model.layout, model.levels
        )
        self.layout, (self.reals, self.wholes) = model.layout, tables

    def remember(self, entry: "Undoable") -> None:
        """Note what has to be put back by `undo`."""
        if self._mark is not None:
            self._journal.append(entry)

    def _span(self, readings: Readings, start: int, stop: int, known: dict[str, int]) -> Span:
        sensors = readings.sensor[start:stop]
        there, first, inverse = np.unique(sensors, return_index=True, return_inverse=True)
        fresh = np.full(stop - start, OLD, dtype=np.int32)
        names = [readings.sensor_ids[number] for number in there.tolist()]
        slots = np.asarray([self.numbers.get(name, -1) for name in names], dtype=np.int64)
        new = np.flatnonzero(slots < 0)
        for place in new[np.argsort(first[new])].tolist():
            name = names[place]
            if name not in self.numbers:
                self._added(name)
                fresh[first[place]] = known.get(name, 0)
            slots[place] = self.numbers[name]
        self._keep(slots)
        return Span(slice(start, stop), slots[inverse], fresh, {})

    def _in_place_of_the_oldest(self, readings: Readings, row: int, known: dict[str, int]) -> Span:
        slot = int(np.argmin(self.wholes[: self.sensors, Whole.TOUCHED]))
        name, gone = readings.sensor_ids[readings.sensor[row]], self.names[slot]
        slots = np.asarray([slot])
        self._keep(slots)
        self.remember(_Renamed(slot, gone))
        self._rename(slot, name)
        self.evicted += 1
        fresh = np.asarray([known.get(name, 0)], dtype=np.int32)
        return Span(slice(row, row + 1), slots, fresh, {row: gone})

    def _added(self, name: str) -> None:
        slot = self.sensors
        if slot == len(self.reals):
            self.reals = np.concatenate([self.reals, np.zeros_like(self.reals)])
            self.wholes = np.concatenate([self.wholes, np.zeros_like(self.wholes)])
        self.numbers[name] = slot
        self.names.append(name)
        self.reals[slot] = 0.0
        self.wholes[slot] = 0
        self.wholes[slot, Whole.TIME] = NEVER

    def _rename(self, slot: int, name: str) -> None:
        del self.numbers[self.names[slot]]
        self.names[slot] = name
        self.numbers[name] = slot

    def _keep(self, slots: NDArray[np.int64]) -> None:
        if self._mark is not None:
            old = slots[slots < self._mark.size]
            self.remember(_Overwritten(old, self.reals[old], self.wholes[old]))


class Remembered(Protocol):
    """A model, as far as a memory knows it."""

    @property
    def layout(self) -> Layout:
        """What it remembers of each sensor."""

    @property
    def levels(self) -> Levels:
        """Where the sensors that it knows lie."""


class Undoable(Protocol):
    """Something that was done to a memory."""

    def undo(self, memory: Memory) -> None:
        """Put it back."""


@dataclass(frozen=True, slots=True)
class _Overwritten:
    slots: NDArray[np.int64]
    reals: NDArray[np.float64]
    wholes: NDArray[np.int64]

    def undo(self, memory: Memory) -> None:
        memory.reals[self.slots] = self.reals
        memory.wholes[self.slots] = self.wholes


@dataclass(frozen=True, slots=True)
class _Replaced:
    layout: Layout
    reals: NDArray[np.float64]
    wholes: NDArray[np.int64]

    def undo(self, memory: Memory) -> None:
        memory.layout, memory.reals, memory.wholes = self.layout, self.reals, self.wholes


@dataclass(frozen=True, slots=True)
class _Renamed:
    slot: int
    before: str

    def undo(self, memory: Memory) -> None:
        memory._rename(self.slot, self.before)  # noqa: SLF001 - a part of it
