"""Conversion of a memory to the bytes of a snapshot, and back."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import MemoryRefused
from sensorwatch.common.scoring.memory import MAX_SENSORS, Memory, ModelForMemory
from sensorwatch.common.scoring.memory_layout import Layout

BYTE_FORMAT = 1
"""Version of the byte format; bytes of a newer format are refused."""


class _Header(msgspec.Struct, frozen=True):
    format: int
    layout: Layout
    clock: int
    position: int
    evicted: int
    names: list[str]


class _FormatOnly(msgspec.Struct, frozen=True):
    format: int


def memory_to_bytes(memory: Memory) -> bytes:
    """Return a memory as bytes; equal memories give equal bytes.

    The first line is JSON and contains the format, the layout, the counters, and the sensors in the
    order of their rows. The table of floats and the table of integers follow, both little-endian.
    """
    header = _Header(
        BYTE_FORMAT, memory.layout, memory.clock, memory.position, memory.evicted, memory.names
    )
    floats = memory.floats[: memory.sensors].astype("<f8", copy=False)
    ints = memory.ints[: memory.sensors].astype("<i8", copy=False)
    return msgspec.json.encode(header) + b"\n" + floats.tobytes() + ints.tobytes()


def memory_from_bytes(
    content: bytes, model: ModelForMemory, *, max_sensors: int = MAX_SENSORS
) -> Memory:
    """Build a memory from bytes.

    Raises MemoryRefused if the bytes are damaged, have a newer format or belong to a model with
    another layout.
    """
    text, newline, tables = content.partition(b"\n")
    header = _read_header(text if newline else b"")
    layout = model.layout
    if header.layout != layout:
        raise MemoryRefused(f"its layout is {header.layout}, the model wants {layout}")
    sensor_count = len(header.names)
    floats_size = 8 * sensor_count * layout.float_columns
    tables_size = floats_size + 8 * sensor_count * layout.int_columns
    if len(tables) != tables_size:
        raise MemoryRefused(
            f"its tables have {len(tables)} bytes, wanted {tables_size} for {sensor_count} sensors"
        )
    if len(set(header.names)) != sensor_count:
        raise MemoryRefused(
            f"its {sensor_count} sensors are not all different, wanted each one once"
        )
    memory = Memory(layout, max_sensors=max_sensors)
    memory.names = header.names
    memory.slot_by_sensor = {name: slot for slot, name in enumerate(header.names)}
    if sensor_count:
        memory.floats = _table(tables[:floats_size], "<f8", sensor_count)
        memory.ints = _table(tables[floats_size:], "<i8", sensor_count)
    memory.clock, memory.position, memory.evicted = header.clock, header.position, header.evicted
    return memory


def _read_header(text: bytes) -> _Header:
    try:
        stored_format = msgspec.json.decode(text, type=_FormatOnly).format
        if stored_format > BYTE_FORMAT:
            raise MemoryRefused(
                f"its format {stored_format} is newer than {BYTE_FORMAT}, the newest that this "
                "code reads: upgrade sensorwatch"
            )
        return msgspec.json.decode(text, type=_Header)
    except (ValueError, RecursionError) as error:
        raise MemoryRefused(f"its first line cannot be read: {error}") from error


def _table(content: bytes, stored_dtype: str, rows: int) -> NDArray[Any]:
    native_dtype = np.dtype(stored_dtype).newbyteorder("=")
    return np.frombuffer(content, dtype=stored_dtype).reshape(rows, -1).astype(native_dtype)
