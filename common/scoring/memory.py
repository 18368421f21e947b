"""The memory of one stream: the state of each sensor between micro-batches."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.model.level_guard import LevelGuard
from sensorwatch.common.model.levels import Levels
from sensorwatch.common.rows.limits import MAX_SENSORS
from sensorwatch.common.rows.open_rows import OpenRows
from sensorwatch.common.rows.readings import Readings
from sensorwatch.common.rows.schema import Schema
from sensorwatch.common.rows.sensor_groups import group_reader
from sensorwatch.common.scoring.memory_adoption import adopt_tables, open_episodes
from sensorwatch.common.scoring.memory_layout import IntColumn, Layout, initial_values
from sensorwatch.common.scoring.open_incidents import OpenIncidents
from sensorwatch.common.scoring.silence_rule import NO_SILENCE_CHECK, SilenceRule, initial_silence
from sensorwatch.common.scoring.staleness import StalenessColumn

KNOWN_SENSOR = -1
"""Value in `SlotAssignment.new_sensor_level` of a sensor that is already in the memory."""
_FIRST_CAPACITY = 16


@dataclass(frozen=True, slots=True)
class SlotAssignment:
    """A range of rows of readings, with the slot of each row's sensor."""

    rows: slice
    """The range of rows; n is the number of its rows."""
    slots: NDArray[np.int64]
    """Shape (n,). Row of the sensor in the memory's tables."""
    new_sensor_level: NDArray[np.int32]
    """Shape (n,). KNOWN_SENSOR, or the row in the model's levels with which a new sensor starts."""
    evicted: dict[int, str]
    """The ids of the evicted sensors. The key is the row that needed the evicted sensor's slot."""


@dataclass(frozen=True, slots=True)
class _Checkpoint:
    """The values that `Memory.undo` restores in addition to the tables."""

    sensors: int
    clock: int
    position: int
    evicted: int
    open_rows: OpenRows
    incidents: OpenIncidents
    staleness: NDArray[np.float64]
    silence: NDArray[np.int64]


class Memory:
    """The state of every sensor of one stream: an input partition, a request or a file.

    Scoring changes the memory in place. `begin` marks a state; `undo` restores the marked state.
    """

    def __init__(
        self,
        layout: Layout,
        *,
        max_sensors: int = MAX_SENSORS,
        silence_rule: SilenceRule = NO_SILENCE_CHECK,
    ) -> None:
        self.layout = layout
        self.max_sensors = max_sensors
        self.silence_rule = silence_rule
        self.slot_by_sensor: dict[str, int] = {}
        """For each sensor, its row in `floats` and `ints`."""
        self.names: list[str] = []
        """For each row of `floats` and `ints`, the name of its sensor."""
        self.floats = np.zeros((_FIRST_CAPACITY, layout.float_columns))
        """Shape (capacity, layout.float_columns). See `FloatColumn`; one row per sensor."""
        self.ints = np.zeros((_FIRST_CAPACITY, layout.int_columns), dtype=np.int64)
        """Shape (capacity, layout.int_columns). See `IntColumn`; one row per sensor."""
        self.clock = 0
        """Number of readings that have changed the memory so far."""
        self.position = 0
        """Stream position of the next record: the newest position plus 1."""
        self.evicted = 0
        """Number of sensors evicted so far."""
        self.open_rows = OpenRows()
        """Rows in long form that wait for more of their values. If the schema of the model has no
        buckets, they remain open.
        """
        self.incidents = OpenIncidents()
        """The incidents with an open episode of a sensor with a group."""
        self.staleness = np.zeros(len(StalenessColumn))
        """Shape (len(StalenessColumn),). Evidence that the model does not fit the stream."""
        self.silence = initial_silence()
        """Shape (len(SilenceColumn),). Event time of the stream, number of silent sensors."""
        self._checkpoint: _Checkpoint | None = None
        self._journal: list[Undoable] = []

    @property
    def sensors(self) -> int:
        """Number of sensors in the memory."""
        return len(self.names)

    def begin(self) -> None:
        """Mark the current state of the memory, so that `undo` can restore it."""
        self._checkpoint = _Checkpoint(
            self.sensors,
            self.clock,
            self.position,
            self.evicted,
            self.open_rows.copy(),
            self.incidents,
            self.staleness.copy(),
            self.silence.copy(),
        )
        self._journal.clear()

    def undo(self) -> None:
        """Restore the state at the last call of `begin`; raises ValueError without such a call."""
        if self._checkpoint is None:
            raise ValueError("undo without begin: call begin before the rows that undo may revert")
        for entry in reversed(self._journal):
            entry.undo(self)
        self._journal.clear()
        for name in self.names[self._checkpoint.sensors :]:
            del self.slot_by_sensor[name]
        del self.names[self._checkpoint.sensors :]
        self.clock, self.position = self._checkpoint.clock, self._checkpoint.position
        self.evicted = self._checkpoint.evicted
        self.open_rows = self._checkpoint.open_rows.copy()
        self.incidents = self._checkpoint.incidents
        self.staleness[:] = self._checkpoint.staleness
        self.silence[:] = self._checkpoint.silence

    def assign_slots(
        self, readings: Readings, level_by_sensor: dict[str, int]
    ) -> Iterator[SlotAssignment]:
        """Yield the slots of the rows' sensors, for one range of rows after another.

        Evicts sensors if slots run out. `level_by_sensor`: for each sensor with its own level, its
        row in `Levels`; other sensors get row 0. The caller must write each range of rows into the
        memory before it takes the next range. The written rows decide which sensor was used least
        recently.
        """
        new_sensors = [name for name in readings.sensor_ids if name not in self.slot_by_sensor]
        if self.sensors + len(new_sensors) <= self.max_sensors:
            yield self._assign(readings, 0, len(readings), level_by_sensor)
            return
        start, unassigned_names = 0, set[str]()
        for row, number in enumerate(readings.sensor.tolist()):
            name = readings.sensor_ids[number]
            if name in self.slot_by_sensor or name in unassigned_names:
                continue
            if self.sensors + len(unassigned_names) < self.max_sensors:
                unassigned_names.add(name)
                continue
            if row > start:
                yield self._assign(readings, start, row, level_by_sensor)
            yield self._evict_oldest(readings, row, level_by_sensor)
            start = row + 1
            unassigned_names.clear()
        if start < len(readings):
            yield self._assign(readings, start, len(readings), level_by_sensor)

    def adopt(self, model: "ModelForMemory") -> None:
        """Convert the memory for use with a new model.

        See `adopt_tables` for the values that are kept, and `OpenIncidents.adopted` for the
        incidents. `staleness` is reset to 0.
        """
        group_of = group_reader(model.schema)
        if group_of is not None or len(self.incidents):
            self.incidents = self.incidents.adopted(open_episodes(self.names, self.ints), group_of)
        self.record_undo(_ReplacedTables(self.layout, self.floats, self.ints))
        tables = adopt_tables(
            self.names,
            self.layout,
            (self.floats, self.ints),
            model.layout,
            model.levels,
            model.guard,
        )
        self.layout, (self.floats, self.ints) = model.layout, tables
        self.staleness[:] = 0.0

    def next_positions(self, count: int) -> NDArray[np.int64]:
        """Return the positions (count,) of the next records of the stream."""
        return self.position + np.arange(count, dtype=np.int64)

    def record_undo(self, entry: "Undoable") -> None:
        """Add a change to those that `undo` reverts."""
        if self._checkpoint is not None:
            self._journal.append(entry)

    def save_for_undo(self, slots: NDArray[np.int64]) -> None:
        """Copy the lines of slots (n,) before a change, so that `undo` can restore them."""
        if self._checkpoint is not None:
            old_slots = slots[slots < self._checkpoint.sensors]
            self.record_undo(
                _OverwrittenSlots(old_slots, self.floats[old_slots], self.ints[old_slots])
            )

    def _assign(
        self, readings: Readings, start: int, stop: int, level_by_sensor: dict[str, int]
    ) -> SlotAssignment:
        sensors = readings.sensor[start:stop]
        present_sensors, first_row_of_sensor, index_of_row = np.unique(
            sensors, return_index=True, return_inverse=True
        )
        new_sensor_level = np.full(stop - start, KNOWN_SENSOR, dtype=np.int32)
        names = [readings.sensor_ids[number] for number in present_sensors.tolist()]
        slots = np.asarray([self.slot_by_sensor.get(name, -1) for name in names], dtype=np.int64)
        new_positions = np.flatnonzero(slots < 0)
        initial_floats, initial_ints = initial_values(self.layout)
        for index in new_positions[np.argsort(first_row_of_sensor[new_positions])].tolist():
            name = names[index]
            if name not in self.slot_by_sensor:
                self._add_sensor(name, initial_floats, initial_ints)
                new_sensor_level[first_row_of_sensor[index]] = level_by_sensor.get(name, 0)
            slots[index] = self.slot_by_sensor[name]
        self.save_for_undo(slots)
        return SlotAssignment(slice(start, stop), slots[index_of_row], new_sensor_level, {})

    def _evict_oldest(
        self, readings: Readings, row: int, level_by_sensor: dict[str, int]
    ) -> SlotAssignment:
        slot = int(np.argmin(self.ints[: self.sensors, IntColumn.LAST_USED]))
        name, evicted_sensor = readings.sensor_ids[readings.sensor[row]], self.names[slot]
        slots = np.asarray([slot])
        self.save_for_undo(slots)
        self.record_undo(_RenamedSlot(slot, evicted_sensor))
        self._rename(slot, name)
        self.evicted += 1
        new_sensor_level = np.asarray([level_by_sensor.get(name, 0)], dtype=np.int32)
        return SlotAssignment(slice(row, row + 1), slots, new_sensor_level, {row: evicted_sensor})

    def _add_sensor(
        self, name: str, initial_floats: NDArray[np.float64], initial_ints: NDArray[np.int64]
    ) -> None:
        slot = self.sensors
        if slot == len(self.floats):
            self.floats = np.concatenate([self.floats, np.zeros_like(self.floats)])
            self.ints = np.concatenate([self.ints, np.zeros_like(self.ints)])
        self.slot_by_sensor[name] = slot
        self.names.append(name)
        self.floats[slot], self.ints[slot] = initial_floats, initial_ints

    def _rename(self, slot: int, name: str) -> None:
        del self.slot_by_sensor[self.names[slot]]
        self.names[slot] = name
        self.slot_by_sensor[name] = slot


class ModelForMemory(Protocol):
    """The properties of a model on which a memory depends."""

    @property
    def schema(self) -> Schema:
        """The schema of the model."""

    @property
    def layout(self) -> Layout:
        """The layout of the model's memory."""

    @property
    def levels(self) -> Levels:
        """The levels of the sensors on which the model was trained."""

    @property
    def guard(self) -> LevelGuard | None:
        """The level guard of the model, or None."""


class Undoable(Protocol):
    """A change of a memory that can be reverted."""

    def undo(self, memory: Memory) -> None:
        """Revert the change."""


@dataclass(frozen=True, slots=True)
class _OverwrittenSlots:
    """Slots that scoring may overwrite, with copies of their table rows."""

    slots: NDArray[np.int64]
    floats: NDArray[np.float64]
    ints: NDArray[np.int64]

    def undo(self, memory: Memory) -> None:
        memory.floats[self.slots] = self.floats
        memory.ints[self.slots] = self.ints


@dataclass(frozen=True, slots=True)
class _ReplacedTables:
    """The tables that were replaced when the memory adopted another model."""

    layout: Layout
    floats: NDArray[np.float64]
    ints: NDArray[np.int64]

    def undo(self, memory: Memory) -> None:
        memory.layout, memory.floats, memory.ints = self.layout, self.floats, self.ints


@dataclass(frozen=True, slots=True)
class _RenamedSlot:
    """A slot that an eviction gave to another sensor."""

    slot: int
    previous_name: str

    def undo(self, memory: Memory) -> None:
        memory._rename(self.slot, self.previous_name)  # noqa: SLF001 - in this module
