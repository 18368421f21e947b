"""What is remembered of each sensor of one stream between micro-batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.levels import Levels
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.scoring.memory_adoption import adopt_tables
from sensorwatch.common.scoring.memory_layout import NO_ROW_YET, IntColumn, Layout

MAX_SENSORS = 100_000
KNOWN_SENSOR = -1
"""In `Span.fresh`: the sensor was there before."""
_FIRST_CAPACITY = 16


@dataclass(frozen=True, slots=True)
class SlotAssignment:
    """Consecutive readings with the place of each one's sensor."""

    rows: slice
    slots: NDArray[np.int64]
    """(n,) line of the sensor in the memory's tables."""
    new_sensor_level: NDArray[np.int32]
    """(n,) OLD, or the number of the level that a new sensor begins with."""
    evicted: dict[int, str]
    """By row: the sensor that had to go for a new one."""


@dataclass(frozen=True, slots=True)
class _Checkpoint:
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
        self.slot_by_sensor: dict[str, int] = {}
        """Line of each sensor."""
        self.names: list[str] = []
        """Sensor of each line."""
        self.floats = np.zeros((_FIRST_CAPACITY, layout.floats))
        self.ints = np.zeros((_FIRST_CAPACITY, layout.ints), dtype=np.int64)
        self.clock = 0
        """Readings that have touched it so far."""
        self.position = 0
        """Where the stream goes on: past the newest record, scored or not."""
        self.evicted = 0
        """Sensors forgotten to make room for others, so far."""
        self._checkpoint: _Checkpoint | None = None
        self._journal: list[Undoable] = []

    @property
    def sensors(self) -> int:
        """How many sensors it knows."""
        return len(self.names)

    def begin(self) -> None:
        """Mark the state that `undo` goes back to."""
        self._checkpoint = _Checkpoint(self.sensors, self.clock, self.position, self.evicted)
        self._journal.clear()

    def undo(self) -> None:
        """Go back to the last `begin`."""
        if self._checkpoint is None:
            raise ValueError("nothing was begun")
        for entry in reversed(self._journal):
            entry.undo(self)
        self._journal.clear()
        for name in self.names[self._checkpoint.size :]:
            del self.slot_by_sensor[name]
        del self.names[self._checkpoint.size :]
        self.clock, self.position = self._checkpoint.clock, self._checkpoint.position
        self.evicted = self._checkpoint.evicted

    def assign_slots(
        self, readings: Readings, level_by_sensor: dict[str, int]
    ) -> Iterator[SlotAssignment]:
        """Give every reading its sensor's line, making room where there is none left.

        `level_by_sensor`: the level of each sensor that the model knows; 0 is that of all others. Each span
        has to be written into the memory before the next is asked for: who has to go follows from
        what the rows before have touched.
        """
        new = [name for name in readings.sensor_ids if name not in self.slot_by_sensor]
        if self.sensors + len(new) <= self.max_sensors:
            yield self._assign(readings, 0, len(readings), level_by_sensor)
            return
        start, unassigned = 0, set[str]()
        for row, number in enumerate(readings.sensor.tolist()):
            name = readings.sensor_ids[number]
            if name in self.slot_by_sensor or name in unassigned:
                continue
            if self.sensors + len(unassigned) < self.max_sensors:
                unassigned.add(name)
                continue
            if row > start:
                yield self._assign(readings, start, row, level_by_sensor)
            yield self._evict_oldest(readings, row, level_by_sensor)
            start = row + 1
            unassigned.clear()
        if start < len(readings):
            yield self._assign(readings, start, len(readings), level_by_sensor)

    def adopt(self, model: "ModelForMemory") -> None:
        """Go on for a new model.

        See `adopt_tables` for what carries over.
        """
        self.record_undo(_ReplacedTables(self.layout, self.floats, self.ints))
        tables = adopt_tables(
            self.names, self.layout, (self.floats, self.ints), model.layout, model.levels
        )
        self.layout, (self.floats, self.ints) = model.layout, tables

    def record_undo(self, entry: "Undoable") -> None:
        """Note what has to be put back by `undo`."""
        if self._checkpoint is not None:
            self._journal.append(entry)

    def _assign(
        self, readings: Readings, start: int, stop: int, level_by_sensor: dict[str, int]
    ) -> SlotAssignment:
        sensors = readings.sensor[start:stop]
        present, first, inverse = np.unique(sensors, return_index=True, return_inverse=True)
        new_sensor_level = np.full(stop - start, KNOWN_SENSOR, dtype=np.int32)
        names = [readings.sensor_ids[number] for number in present.tolist()]
        slots = np.asarray([self.slot_by_sensor.get(name, -1) for name in names], dtype=np.int64)
        new = np.flatnonzero(slots < 0)
        for index in new[np.argsort(first[new])].tolist():
            name = names[index]
            if name not in self.slot_by_sensor:
                self._add_sensor(name)
                new_sensor_level[first[index]] = level_by_sensor.get(name, 0)
            slots[index] = self.slot_by_sensor[name]
        self._save_for_undo(slots)
        return SlotAssignment(slice(start, stop), slots[inverse], new_sensor_level, {})

    def _evict_oldest(
        self, readings: Readings, row: int, level_by_sensor: dict[str, int]
    ) -> SlotAssignment:
        slot = int(np.argmin(self.ints[: self.sensors, IntColumn.LAST_USED]))
        name, evicted_sensor = readings.sensor_ids[readings.sensor[row]], self.names[slot]
        slots = np.asarray([slot])
        self._save_for_undo(slots)
        self.record_undo(_RenamedSlot(slot, evicted_sensor))
        self._rename(slot, name)
        self.evicted += 1
        new_sensor_level = np.asarray([level_by_sensor.get(name, 0)], dtype=np.int32)
        return SlotAssignment(slice(row, row + 1), slots, new_sensor_level, {row: evicted_sensor})

    def _add_sensor(self, name: str) -> None:
        slot = self.sensors
        if slot == len(self.floats):
            self.floats = np.concatenate([self.floats, np.zeros_like(self.floats)])
            self.ints = np.concatenate([self.ints, np.zeros_like(self.ints)])
        self.slot_by_sensor[name] = slot
        self.names.append(name)
        self.floats[slot] = 0.0
        self.ints[slot] = 0
        self.ints[slot, IntColumn.NEWEST_TIME] = NO_ROW_YET

    def _rename(self, slot: int, name: str) -> None:
        del self.slot_by_sensor[self.names[slot]]
        self.names[slot] = name
        self.slot_by_sensor[name] = slot

    def _save_for_undo(self, slots: NDArray[np.int64]) -> None:
        if self._checkpoint is not None:
            old = slots[slots < self._checkpoint.size]
            self.record_undo(_OverwrittenSlots(old, self.floats[old], self.ints[old]))


class ModelForMemory(Protocol):
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
class _OverwrittenSlots:
    slots: NDArray[np.int64]
    floats: NDArray[np.float64]
    ints: NDArray[np.int64]

    def undo(self, memory: Memory) -> None:
        memory.floats[self.slots] = self.floats
        memory.ints[self.slots] = self.ints


@dataclass(frozen=True, slots=True)
class _ReplacedTables:
    layout: Layout
    floats: NDArray[np.float64]
    ints: NDArray[np.int64]

    def undo(self, memory: Memory) -> None:
        memory.layout, memory.floats, memory.ints = self.layout, self.floats, self.ints


@dataclass(frozen=True, slots=True)
class _RenamedSlot:
    slot: int
    before: str

    def undo(self, memory: Memory) -> None:
        memory._rename(self.slot, self.before)  # noqa: SLF001 - a part of it
