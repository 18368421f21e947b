"""A memory as bytes and back: the content of a snapshot."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import MemoryRefused
from sensorwatch.common.scoring.memory import MAX_SENSORS, Memory, ModelForMemory
from sensorwatch.common.scoring.memory_layout import Layout

FORMAT = 1
"""Of the bytes; a newer one is refused."""


class _Header(msgspec.Struct, frozen=True):
    format: int
    layout: Layout
    clock: int
    position: int
    evicted: int
    names: list[str]


class _FormatOnly(msgspec.Struct, frozen=True):
    format: int


def memory_bytes(memory: Memory) -> bytes:
    """Write a memory down: equal memories give equal bytes.

    One line of JSON (format, layout, counters, sensors in the order of their lines), then the
    floats and the whole numbers of all sensors, little-endian.
    """
    header = _Header(
        FORMAT, memory.layout, memory.clock, memory.position, memory.evicted, memory.names
    )
    floats = memory.floats[: memory.sensors].astype("<f8", copy=False)
    ints = memory.ints[: memory.sensors].astype("<i8", copy=False)
    return msgspec.json.encode(header) + b"\n" + floats.tobytes() + ints.tobytes()


def memory_from_bytes(
    content: bytes, model: ModelForMemory, *, max_sensors: int = MAX_SENSORS
) -> Memory:
    """Read a memory back.

    Raises MemoryRefused where it is damaged, of a newer format, or not one for this model.
    """
    text, newline, tables = content.partition(b"\n")
    header = _read_header(text if newline else b"")
    layout = model.layout
    if header.layout != layout:
        raise MemoryRefused(f"it is one of {header.layout}, the model wants {layout}")
    count = len(header.names)
    floats_size = 8 * count * layout.floats
    if len(tables) != floats_size + 8 * count * layout.ints or len(set(header.names)) != count:
        raise MemoryRefused(f"{len(tables)} bytes do not hold {count} different sensors")
    memory = Memory(layout, max_sensors=max_sensors)
    memory.names = header.names
    memory.slot_by_sensor = {name: line for line, name in enumerate(header.names)}
    if count:
        memory.floats = _table(tables[:floats_size], "<f8", count)
        memory.ints = _table(tables[floats_size:], "<i8", count)
    memory.clock, memory.position, memory.evicted = header.clock, header.position, header.evicted
    return memory


def _read_header(text: bytes) -> _Header:
    try:
        stored_format = msgspec.json.decode(text, type=_FormatOnly).format
        if stored_format > FORMAT:
            raise MemoryRefused(
                f"its format {stored_format} is newer than this code's {FORMAT}: upgrade sensorwatch"
            )
        return msgspec.json.decode(text, type=_Header)
    except msgspec.MsgspecError as error:
        raise MemoryRefused(f"its first line cannot be read: {error}") from error


def _table(content: bytes, stored_dtype: str, lines: int) -> NDArray[Any]:
    native_dtype = np.dtype(stored_dtype).newbyteorder("=")
    return np.frombuffer(content, dtype=stored_dtype).reshape(lines, -1).astype(native_dtype)
