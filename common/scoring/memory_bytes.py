"""Conversion of a memory to the bytes of a snapshot, and back."""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import MemoryRefused
from sensorwatch.common.rows.limits import MAX_SENSORS, NO_TIME
from sensorwatch.common.rows.open_rows import OpenRow, OpenRows
from sensorwatch.common.scoring.memory import Memory, ModelForMemory
from sensorwatch.common.scoring.memory_layout import Layout, initial_values
from sensorwatch.common.scoring.open_incidents import Incident, OpenIncidents
from sensorwatch.common.scoring.staleness import StalenessColumn

BYTE_FORMAT = 2
"""Version of the byte format; bytes of another format are refused.

A new column of the memory does not change the format, because the bytes contain the column names.
"""


class _Header(msgspec.Struct, frozen=True, omit_defaults=True):
    format: int
    layout: Layout
    clock: int
    position: int
    evicted: int
    float_columns: tuple[str, ...]
    """Names of the columns of the table of floats, in order."""
    int_columns: tuple[str, ...]
    """Names of the columns of the table of integers, in order."""
    names: list[str]
    open_rows: tuple[OpenRow, ...] = ()
    newest_time: int = NO_TIME
    """Newest event time of a value in long form."""
    staleness: tuple[float, ...] = (0.0,) * len(StalenessColumn)
    """See `Memory.staleness`."""
    incidents: tuple[tuple[Incident, tuple[int, ...]], ...] = ()
    """See `OpenIncidents.content`."""


class _FormatOnly(msgspec.Struct, frozen=True):
    format: int


def memory_to_bytes(memory: Memory) -> bytes:
    """Return a memory as bytes; equal memories give equal bytes.

    The first line is JSON and contains the format, the layout, the counters, the names of the
    columns, the sensors in the order of their rows, the open rows of long form, the staleness, and
    the open incidents.
    The table of floats and the table of integers follow, both little-endian.
    """
    layout = memory.layout
    header = _Header(
        BYTE_FORMAT,
        layout,
        memory.clock,
        memory.position,
        memory.evicted,
        layout.float_column_names,
        layout.int_column_names,
        memory.names,
        memory.open_rows.rows,
        memory.open_rows.newest_time,
        tuple(memory.staleness.tolist()),
        memory.incidents.content,
    )
    floats = memory.floats[: memory.sensors].astype("<f8", copy=False)
    ints = memory.ints[: memory.sensors].astype("<i8", copy=False)
    return msgspec.json.encode(header) + b"\n" + floats.tobytes() + ints.tobytes()


def memory_from_bytes(
    content: bytes, model: ModelForMemory, *, max_sensors: int = MAX_SENSORS
) -> Memory:
    """Build a memory from bytes.

    A column that is not in the bytes gets its initial value (see `memory_layout`). So code with a
    new column can read older snapshots. Raises MemoryRefused if the bytes are damaged or have
    another format. Also raises it if they contain an unknown column, or belong to a model with
    another layout.
    """
    text, newline, tables = content.partition(b"\n")
    header = _read_header(text if newline else b"")
    layout = model.layout
    if header.layout != layout:
        raise MemoryRefused(f"its layout is {header.layout}, the model wants {layout}")
    if len(header.staleness) != len(StalenessColumn):
        raise MemoryRefused(
            f"its staleness has {len(header.staleness)} values, wanted {len(StalenessColumn)}"
        )
    sensor_count = len(header.names)
    floats_size = 8 * sensor_count * len(header.float_columns)
    tables_size = floats_size + 8 * sensor_count * len(header.int_columns)
    if len(tables) != tables_size:
        raise MemoryRefused(
            f"its tables have {len(tables)} bytes, wanted {tables_size} for {sensor_count} sensors"
        )
    if len(set(header.names)) != sensor_count:
        raise MemoryRefused(f"its {sensor_count} sensors contain a duplicate, wanted each one once")
    initial_floats, initial_ints = initial_values(layout)
    floats = _Columns(header.float_columns, tables[:floats_size], layout.float_column_names)
    ints = _Columns(header.int_columns, tables[floats_size:], layout.int_column_names)
    memory = Memory(layout, max_sensors=max_sensors)
    memory.names = header.names
    memory.slot_by_sensor = {name: slot for slot, name in enumerate(header.names)}
    if sensor_count:
        memory.floats = floats.to_table(sensor_count, "<f8", initial_floats)
        memory.ints = ints.to_table(sensor_count, "<i8", initial_ints)
    memory.clock, memory.position, memory.evicted = header.clock, header.position, header.evicted
    memory.open_rows = OpenRows(header.newest_time, header.open_rows)
    memory.staleness[:] = header.staleness
    memory.incidents = OpenIncidents(header.incidents)
    return memory


def _read_header(text: bytes) -> _Header:
    try:
        stored_format = msgspec.json.decode(text, type=_FormatOnly).format
        if stored_format > BYTE_FORMAT:
            raise MemoryRefused(
                f"its format {stored_format} is newer than {BYTE_FORMAT}, the newest that this "
                "code reads: upgrade sensorwatch"
            )
        if stored_format < BYTE_FORMAT:
            raise MemoryRefused(
                f"its format {stored_format} is older than {BYTE_FORMAT}, the oldest that this "
                "code reads"
            )
        return msgspec.json.decode(text, type=_Header)
    except (ValueError, RecursionError) as error:
        raise MemoryRefused(f"its first line cannot be read: {error}") from error


@dataclass(frozen=True, slots=True)
class _Columns:
    """The columns of a stored table."""

    stored_names: tuple[str, ...]
    content: bytes
    wanted_names: tuple[str, ...]

    def to_table(self, rows: int, stored_dtype: str, initial_row: NDArray[Any]) -> NDArray[Any]:
        """Return the table with the wanted columns; a missing column has its initial value.

        `initial_row`: shape (wanted columns,). Raises MemoryRefused if a stored column is unknown
        or is stored twice.
        """
        native_dtype = np.dtype(stored_dtype).newbyteorder("=")
        stored_table = np.frombuffer(self.content, dtype=stored_dtype).reshape(rows, -1)
        if self.stored_names == self.wanted_names:
            return stored_table.astype(native_dtype)
        position_by_name = {name: position for position, name in enumerate(self.wanted_names)}
        unknown_names = [name for name in self.stored_names if name not in position_by_name]
        if unknown_names:
            raise MemoryRefused(
                f'it has a column "{unknown_names[0]}", which this code does not know: run the '
                "newer sensorwatch that wrote it"
            )
        if len(set(self.stored_names)) != len(self.stored_names):
            raise MemoryRefused("it contains a column twice, wanted each column once")
        table = np.tile(initial_row.astype(native_dtype), (rows, 1))
        table[:, [position_by_name[name] for name in self.stored_names]] = stored_table
        return table
