"""A memory as bytes and back: the content of a snapshot."""

from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from sensorwatch.common.errors import MemoryRefused
from sensorwatch.common.scoring.memory import MAX_SENSORS, Memory, Remembered
from sensorwatch.common.scoring.memory_layout import Layout

FORMAT = 1
"""Of the bytes; a newer one is refused."""


class _Head(msgspec.Struct, frozen=True):
    format: int
    layout: Layout
    clock: int
    position: int
    evicted: int
    names: list[str]


class _Format(msgspec.Struct, frozen=True):
    format: int


def memory_bytes(memory: Memory) -> bytes:
    """Write a memory down: equal memories give equal bytes.

    One line of JSON (format, layout, counters, sensors in the order of their lines), then the
    floats and the whole numbers of all sensors, little-endian.
    """
    head = _Head(FORMAT, memory.layout, memory.clock, memory.position, memory.evicted, memory.names)
    reals = memory.reals[: memory.sensors].astype("<f8", copy=False)
    wholes = memory.wholes[: memory.sensors].astype("<i8", copy=False)
    return msgspec.json.encode(head) + b"\n" + reals.tobytes() + wholes.tobytes()


def memory_of(content: bytes, model: Remembered, *, max_sensors: int = MAX_SENSORS) -> Memory:
    """Read a memory back.

    Raises MemoryRefused where it is damaged, of a newer format, or not one for this model.
    """
    text, newline, tables = content.partition(b"\n")
    head = _head(text if newline else b"")
    layout = model.layout
    if head.layout != layout:
        raise MemoryRefused(f"it is one of {head.layout}, the model wants {layout}")
    count = len(head.names)
    split = 8 * count * layout.reals
    if len(tables) != split + 8 * count * layout.wholes or len(set(head.names)) != count:
        raise MemoryRefused(f"{len(tables)} bytes do not hold {count} different sensors")
    memory = Memory(layout, max_sensors=max_sensors)
    memory.names = head.names
    memory.numbers = {name: line for line, name in enumerate(head.names)}
    if count:
        memory.reals = _table(tables[:split], "<f8", count)
        memory.wholes = _table(tables[split:], "<i8", count)
    memory.clock, memory.position, memory.evicted = head.clock, head.position, head.evicted
    return memory


def _head(text: bytes) -> _Head:
    try:
        found = msgspec.json.decode(text, type=_Format).format
        if found > FORMAT:
            raise MemoryRefused(
                f"its format {found} is newer than this code's {FORMAT}: upgrade sensorwatch"
            )
        return msgspec.json.decode(text, type=_Head)
    except msgspec.MsgspecError as error:
        raise MemoryRefused(f"its first line cannot be read: {error}") from error


def _table(content: bytes, stored: str, lines: int) -> NDArray[Any]:
    native = np.dtype(stored).newbyteorder("=")
    return np.frombuffer(content, dtype=stored).reshape(lines, -1).astype(native)
